"""The fixtures that Batuta gives to pytest, which loads this file by itself: nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga.testing import Harness


@pytest.fixture
def saga_harness() -> Iterator[Harness]:
    """Give a harness of the test's own: `saga.testing.Harness` says what it does."""
    from saga.testing import Harness  # noqa: PLC0415 - loaded by the tests that use it only

    with Harness() as harness:
        yield harness
