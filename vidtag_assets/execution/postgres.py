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
NAME_S = 20.0
"""How long its name may be unknown, as a container's is while that is restarted."""
LOOK_S = 0.5
"""Between two attempts to connect."""
AGAIN = 5
"""How often the connection of one call may be lost."""
COMING = (
    "starting up", "shutting down", "not yet accepting connections", "in recovery mode",
    "too many clients", "remaining connection slots are reserved",
)  # fmt: skip
"""What a server says that is there and will have time."""
REFUSED = ("FATAL", "no password supplied", "invalid ", "does not support SSL", "certificate")
"""What is said where waiting changes nothing."""
UNKNOWN = ("Name or service not known", "No address associated with hostname")
"""What is said of a host that no name server knows."""
ADVICE = (
    "check host, port, user, password and database in DAGSTER_POSTGRES_URL, or for MLflow's "
    "in MLFLOW_TRACKING_URI"
)

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
    began, told = time.monotonic(), False
    while True:
        try:
            return dialect.connect(*args, **settings)
        except dialect.loaded_dbapi.OperationalError as error:
            said = " ".join(str(error).split())
            if time.monotonic() - began >= patience_s(said):
                raise type(error)(f"{said}: {ADVICE}") from error
            if not told:
                _LOG.warning("waiting for the database: %s", said)
                told = True
            time.sleep(LOOK_S)


def patience_s(said: str) -> float:
    """How long to wait for a server of which this is said; not at all for one that refuses."""
    if any(words in said for words in COMING):
        return WAIT_S
    if any(words in said for words in REFUSED):
        return 0.0
    return NAME_S if any(words in said for words in UNKNOWN) else WAIT_S


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
