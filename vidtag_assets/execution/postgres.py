"""Dagster's storage in PostgreSQL, which a server that is away for a while does not interrupt.

Dagster alone tries for eleven seconds, only to connect, and fails the run then (decision 40).

Belongs here: the class that deploy/dagster/dagster.yaml names, and what it waits for. Does not
belong here: servers that are reached by HTTP: MLflow's client tries again by itself.
"""

import functools
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy
from dagster_postgres import DagsterPostgresStorage

WAIT_S = 300.0
"""How long a server may be away."""
LOOK_S = 0.5
"""Between two attempts to connect."""
AGAIN = 5
"""How often the connection of one call may be lost."""
COMING = ("starting up", "shutting down", "not yet accepting connections", "in recovery mode")
"""What a server says that is there and will be ready."""

_LOG = logging.getLogger(__name__)


class PatientStorage(DagsterPostgresStorage):
    """That of Dagster, which waits for its server and makes calls again that were interrupted."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """Dagster's, by its configuration."""
        if not sqlalchemy.event.contains(sqlalchemy.Engine, "do_connect", connect):
            sqlalchemy.event.listen(sqlalchemy.Engine, "do_connect", connect)
        made = super().from_config_value(inst_data, config_value)
        for storage in (made.run_storage, made.event_log_storage, made.schedule_storage):
            for name, _ in inspect.getmembers(type(storage), inspect.isfunction):
                if not name.startswith("_"):
                    setattr(storage, name, again(getattr(storage, name)))
        return made


def connect(dialect: Any, _record: Any, args: Any, settings: Any) -> Any:
    """A connection to PostgreSQL, once it is there; None leaves others to SQLAlchemy."""
    if dialect.name != "postgresql":
        return None
    until, told = time.monotonic() + WAIT_S, False
    while True:
        try:
            return dialect.connect(*args, **settings)
        except dialect.loaded_dbapi.OperationalError as error:
            if not is_away(str(error)) or time.monotonic() > until:
                raise
            if not told:
                _LOG.warning("waiting for the database: %s", " ".join(str(error).split()))
                told = True
            time.sleep(LOOK_S)


def is_away(said: str) -> bool:
    """Whether nobody answered, or one who is not ready yet; not one who refuses."""
    return "FATAL" not in said or any(words in said for words in COMING)


def again(call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that is made again if its connection is lost; each statement is committed by itself.

    What the server did and could not acknowledge is done twice: at worst, an event is logged twice.
    """

    @functools.wraps(call)
    def patient(*args: Any, **settings: Any) -> Any:
        for _ in range(AGAIN):
            try:
                return call(*args, **settings)
            except sqlalchemy.exc.OperationalError as error:
                if not error.connection_invalidated:
                    raise
                _LOG.warning("the database went away during %s: once more", call.__name__)
        return call(*args, **settings)

    return patient
