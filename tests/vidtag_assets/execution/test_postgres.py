"""What is waited for: a server that is away, and calls whose connection was lost."""

import psycopg2
import pytest
import sqlalchemy

from vidtag_assets.execution import postgres

WAIT, NAME = postgres.WAIT_S, postgres.NAME_S
PATIENCE = {
    'connection to server at "db", port 5432 failed: Connection refused': WAIT,
    'could not translate host name "db" to address: Temporary failure in name resolution': WAIT,
    'could not translate host name "db" to address: Name or service not known': NAME,
    "server closed the connection unexpectedly": WAIT,
    "FATAL:  the database system is starting up": WAIT,
    "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent ...": WAIT,
    "FATAL:  sorry, too many clients already": WAIT,
    "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute": WAIT,
    'FATAL:  password authentication failed for user "vidtag"': 0.0,
    'FATAL:  database "vidtag" does not exist': 0.0,
    'connection to server at "db", port 5432 failed: fe_sendauth: no password supplied': 0.0,
    'invalid integer value "54x" for connection option "port"': 0.0,
    "server does not support SSL, but SSL was required": 0.0,
}


@pytest.mark.parametrize("said", PATIENCE)
def test_a_server_that_is_away_is_told_from_one_that_refuses(said):
    assert postgres.patience_s(said) == PATIENCE[said]


def test_what_is_refused_fails_at_once_and_says_what_to_check():
    engine = sqlalchemy.create_engine("postgresql+psycopg2://db", connect_args={"port": "54x"})
    sqlalchemy.event.listen(engine, "do_connect", postgres.connect)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="DAGSTER_POSTGRES_URL"):
        engine.connect()


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
