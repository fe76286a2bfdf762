"""Find the barrier for a database among those that are installed."""

from importlib.metadata import entry_points
from typing import cast

from saga.errors import NotReady
from saga.participant.barrier import Barrier

BARRIERS = "batuta.barriers"


def sql_barrier(engine: object, **options: object) -> Barrier:
    """Give the barrier for PostgreSQL or SQLite: `engine` is SQLAlchemy's AsyncEngine, or an address for one.

    Options are `table` (saga_barrier) and `keep_days` (90). Raises NotReady where SQLAlchemy is not installed.
    """
    return _load("sql", "pip install 'batuta[sql]'", engine, options)


def mongo_barrier(database: object, **options: object) -> Barrier:
    """Give the barrier for MongoDB: `database` is one of motor's or of PyMongo's asynchronous client.

    Options are `collection` (saga_barrier) and `keep_days` (90). It needs a replica set.
    """
    return _load("mongo", "install the package batuta with its adapters", database, options)


def _load(name: str, remedy: str, target: object, options: dict[str, object]) -> Barrier:
    for entry in entry_points(group=BARRIERS, name=name):
        try:
            made = entry.load()
        except ImportError as error:
            raise NotReady(f"the {name} barrier can't be loaded: {error}; {remedy}") from error
        return cast("Barrier", made(target, **options))
    raise NotReady(f"no barrier named {name!r} is installed: {remedy}")
