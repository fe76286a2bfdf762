"""The listing's filters in MongoDB's words; user text stands in them as values only."""

from adapters.mongodb.client import Document
from saga.messages.json_text import to_text
from saga.ports.projections import Position, ProjectionFilter
from saga.process.status import ProcessStatus

_EVERY_STATUS = tuple(map(str, ProcessStatus))
_NOTHING: Document = {"_id": {"$in": []}}


def label_key(key: str, value: str) -> str:
    """Write a label as one indexed text; as a JSON pair, because `=` may stand in either half."""
    return to_text([key, value])


def filter_query(chosen: ProjectionFilter, after: Position | None) -> Document:
    """Write the conditions of a listing, and where its page begins."""
    if len(dict(chosen.labels)) < len(set(chosen.labels)):
        return _NOTHING  # two values of one label: without this, all that have one of them would be read
    query: Document = {}
    statuses = chosen.statuses
    if chosen.process_type is not None:
        query["process_type"] = {"$eq": chosen.process_type}
    if chosen.labels:
        query["labels"] = {"$all": [label_key(key, value) for key, value in chosen.labels]}
    if query and not statuses:
        # Their indexes have the status before the start: by naming each, the ranges are merged in order.
        statuses = _EVERY_STATUS
    if statuses:
        query["status"] = {"$in": list(statuses)}
    started: Document = {}
    if chosen.attention is not None:
        query["attention"] = chosen.attention
        started["$gte"] = 0  # always holds; without a bound the partial index is not thought of
    if chosen.started_after is not None:
        started["$gte"] = chosen.started_after
    if chosen.started_before is not None:
        started["$lt"] = chosen.started_before
    if started:
        query["started_at"] = started
    if after is not None:
        # The first bound is implied by the second; it is what lets the index begin in the right place.
        query["$and"] = [
            {"started_at": {"$lte": after.started_at}},
            {"$or": [{"started_at": {"$lt": after.started_at}}, {"_id": {"$lt": after.process_id}}]},
        ]
    return query
