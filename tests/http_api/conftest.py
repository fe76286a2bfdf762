"""One running service for all tests of a file; each test starts processes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.http_api.service import Service, running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a service that lets everybody in."""
    async with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running
