"""The listing's filters in MongoDB's words; user text stands in them as values only."""

from adapters.mongodb.client import Document
from saga.messages.json_text import to_text
from saga.ports.projections import Position, ProjectionFilter


def label_key(key: str, value: str) -> str:
    """Write a label as one indexed text; as a JSON pair, because `=` may stand in either half."""
    return to_text([key, value])


def filter_query(chosen: ProjectionFilter, after: Position | None) -> Document:
    """Write the conditions of a listing, and where its page begins."""
    query: Document = {}
    if chosen.statuses:
        query["status"] = {"$in": list(chosen.statuses)}
    if chosen.process_type is not None:
        query["process_type"] = {"$eq": chosen.process_type}
    if chosen.labels:
        query["labels"] = {"$all": [label_key(key, value) for key, value in chosen.labels]}
    if chosen.attention is not None:
        query["attention"] = chosen.attention
    started: Document = {}
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
