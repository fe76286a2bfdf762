"""Fixtures for every test: real servers, started only when a test asks for them, and names of its own."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from tests.support.amqp_names import delete_names
from tests.support.servers import (
    AMQP_URL,
    MONGODB_URL,
    MongoServer,
    RabbitServer,
    ServerError,
    find_mongod,
    find_rabbitmq,
    shared_mongo,
    shared_rabbit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SERVER_FIXTURES = {"amqp_url", "mongodb_url", "own_rabbit", "own_mongo"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that uses a server, so that `-m "not servers"` never starts one by mistake."""
    for item in items:
        if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """Give the address of a RabbitMQ that tests share: names on it need `amqp_prefix`; don't kill it."""
    named = os.environ.get(AMQP_URL)
    if named:
        yield named
        return
    with shared_rabbit() as server:
        yield server.url


@pytest.fixture(scope="session")
def mongodb_url() -> Iterator[str]:
    """Give the address of a mongod that tests share; use `mongodb_database` on it, and don't kill it."""
    named = os.environ.get(MONGODB_URL)
    if named:
        yield named
        return
    with shared_mongo() as server:
        yield server.url


@pytest.fixture
def amqp_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a prefix of its own to the test, for SAGA_AMQP_PREFIX; what bears it is deleted afterwards."""
    url = request.getfixturevalue("amqp_url") if "amqp_url" in request.fixturenames else None
    prefix = f"t{secrets.token_hex(4)}"
    yield prefix
    if url is not None:
        delete_names(url, prefix)


@pytest.fixture
def mongodb_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a database of its own to the test, for SAGA_MONGODB_DATABASE; it is dropped afterwards."""
    url = request.getfixturevalue("mongodb_url") if "mongodb_url" in request.fixturenames else None
    name = f"test_{secrets.token_hex(4)}"
    yield name
    if url is not None:
        client: MongoClient[dict[str, Any]] = MongoClient(url, timeoutMS=10_000)
        with client:
            client.drop_database(name)


@pytest.fixture(scope="module")
def own_rabbit() -> Iterator[RabbitServer]:
    """Give the tests of one module a node that they may kill, pause and put into alarm."""
    _need(find_rabbitmq, AMQP_URL)
    with RabbitServer() as server:
        yield server


@pytest.fixture(scope="module")
def own_mongo() -> Iterator[MongoServer]:
    """Give the tests of one module a mongod that they may kill, pause and make fail."""
    _need(find_mongod, MONGODB_URL)
    with MongoServer() as server:
        yield server


def _need(find: Callable[[], object], setting: str) -> None:
    # Whoever names a server of their own need not have one installed; nobody else may miss these tests.
    try:
        find()
    except ServerError as error:
        if os.environ.get(setting):
            pytest.skip(str(error))
        raise
