"""What is waited for: a server that is away, and calls whose connection was lost."""

import psycopg2
import pytest
import sqlalchemy

from vidtag_assets.execution import postgres

AWAY = {
    'connection to server at "db", port 5432 failed: Connection refused': True,
    'could not translate host name "db" to address: Temporary failure in name resolution': True,
    "server closed the connection unexpectedly": True,
    "FATAL:  the database system is starting up": True,
    "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent ...": True,
    'FATAL:  password authentication failed for user "vidtag"': False,
    'FATAL:  database "vidtag" does not exist': False,
}


@pytest.mark.parametrize("said", AWAY)
def test_a_server_that_is_away_is_told_from_one_that_refuses(said):
    assert postgres.is_away(said) == AWAY[said]


def lost(is_lost):
    cause = psycopg2.OperationalError("server closed the connection unexpectedly")
    return sqlalchemy.exc.OperationalError("INSERT", {}, cause, connection_invalidated=is_lost)


def interrupted(times, is_lost=True):
    """A call whose connection is lost that often, or that fails otherwise; and all tries."""
    tries = []

    def call(value):
        tries.append(value)
        if len(tries) <= times:
            raise lost(is_lost)
        return value

    return postgres.again(call), tries


def test_a_call_whose_connection_was_lost_is_made_again():
    call, tries = interrupted(2)
    assert (call(7), tries) == (7, [7, 7, 7])


@pytest.mark.parametrize(("times", "is_lost", "num_tries"), [(99, True, 6), (1, False, 1)])
def test_a_call_fails_that_is_lost_for_ever_or_wrong(times, is_lost, num_tries):
    call, tries = interrupted(times, is_lost)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        call(7)
    assert len(tries) == num_tries
