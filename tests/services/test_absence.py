"""A database that is away for a while: what runs meanwhile waits, and loses nothing."""

import time

import pytest
import sqlalchemy

from tests.faults import whole
from vidtag_assets.execution import postgres

pytestmark = pytest.mark.faults
AWAY_S = 10.0
WHOLE = "from pathlib import Path; from tests.faults import graph; graph.execute(Path.cwd())"


def test_a_run_survives_a_database_that_is_away_and_one_that_is_restarted(
    services, trains, monkeypatch
):
    process = services.begin(trains, WHOLE)
    for num_steps, away_s in ((2, AWAY_S), (6, 0.0), (13, AWAY_S)):
        while (trains / "said").read_text().count("STEP_SUCCESS") < num_steps:
            assert process.poll() is None, (trains / "said").read_text()[-6000:]
            time.sleep(0.1)
        services.postgres.stop()
        time.sleep(away_s)
        services.postgres.start()
    process.communicate()
    assert process.returncode == 0, (trains / "said").read_text()[-6000:]
    for name, value in services.env.items():
        monkeypatch.setenv(name, value)
    assert whole.wrongs(trains) == []


def test_a_database_that_refuses_is_not_waited_for(services):
    engine = sqlalchemy.create_engine(services.postgres.url("no such database"))
    sqlalchemy.event.listen(engine, "do_connect", postgres.connect)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="does not exist"):
        engine.connect()
