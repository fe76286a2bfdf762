"""The contract of the reports about services: the last word of each reporter, until it is old or withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga.ports.service_reports import StoredReport
from tests.contract.factories import NASTY

if TYPE_CHECKING:
    from tests.contract.conftest import Store

# The server deletes what is an hour old.
AT = 4_000_000_000_123


async def test_the_last_word_of_each_reporter_is_kept(store: Store) -> None:
    """A second report takes the place of the first; each comes back as it was written."""
    await store.service_reports.save(StoredReport("b:2", AT, "first"))
    await store.service_reports.save(StoredReport("a:1", AT + 1, NASTY))
    await store.service_reports.save(StoredReport("b:2", AT + 2, "second"))

    assert list(await store.service_reports.since(0)) == [
        StoredReport("a:1", AT + 1, NASTY),
        StoredReport("b:2", AT + 2, "second"),
    ]


async def test_old_reports_are_left_out(store: Store) -> None:
    """A reporter that was killed is not heard of for ever."""
    await store.service_reports.save(StoredReport("a:1", AT, "old"))
    await store.service_reports.save(StoredReport("b:2", AT + 10_000, "new"))

    assert [report.text for report in await store.service_reports.since(AT + 1)] == ["new"]
    assert [report.text for report in await store.service_reports.since(AT)] == ["old", "new"]


async def test_a_withdrawn_report_is_gone(store: Store) -> None:
    """A reporter that ends says so; to withdraw twice is harmless."""
    await store.service_reports.save(StoredReport("a:1", AT, "said"))
    for _ in range(2):
        await store.service_reports.withdraw("a:1")

    assert not await store.service_reports.since(0)
