"""The reports about services in MongoDB: one document per reporter in the collection `service_reports`."""

import datetime as dt
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, cast

from adapters.mongodb.client import Collection as PlainCollection
from adapters.mongodb.client import Database, Document
from adapters.mongodb.failures import unavailable
from saga.ports.service_reports import StoredReport


class _Reports(PlainCollection, Protocol):
    """The call that only reports need; both clients have it with this meaning."""

    def delete_one(self, chosen: Mapping[str, object]) -> Awaitable[object]: ...


class MongoServiceReports:
    """Implement `saga.ports.service_reports.ServiceReports`.

    `at` is a date, so that the server itself deletes what a killed reporter left behind.
    """

    def __init__(self, database: Database) -> None:
        """Take the database that holds the collection `service_reports`."""
        self._reports = cast("_Reports", database["service_reports"])

    async def save(self, report: StoredReport) -> None:
        """Put the report in the place of the reporter's last one."""
        said = {"at": _date(report.at), "text": report.text}
        with unavailable():
            await self._reports.update_one({"_id": {"$eq": report.reporter}}, {"$set": said}, upsert=True)

    async def since(self, at: int) -> Sequence[StoredReport]:
        """Give the reports that are not older than this, in the order of the reporters' names."""
        with unavailable():
            found = await self._reports.find({"at": {"$gte": _date(at)}}).sort([("_id", 1)]).to_list(None)
        return [_report(document) for document in found]

    async def withdraw(self, reporter: str) -> None:
        """Forget what a reporter said."""
        with unavailable():
            await self._reports.delete_one({"_id": {"$eq": reporter}})


def _report(document: Document) -> StoredReport:
    at = cast("dt.datetime", document["at"])
    seconds = at.timestamp()
    return StoredReport(cast("str", document["_id"]), round(seconds * 1000), cast("str", document["text"]))


def _date(at: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC)
