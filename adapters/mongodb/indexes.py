"""The indexes: none of them decides anything, but without them listing and timers read every document."""

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel

from adapters.mongodb.client import Database
from adapters.mongodb.failures import unavailable

_BUILD_S = 3_600
_NEWEST_FIRST = (("started_at", DESCENDING), ("_id", DESCENDING))

# Start and id stand behind the fields that are asked for: a page is read in its order, and nothing beside it.
# What never changes (type, labels, start) costs the first save of a process only.
_PROCESSES = (
    # Only those that have a timer: what ended has none.
    IndexModel([("wake_at", ASCENDING)], name="timers", partialFilterExpression={"wake_at": {"$gte": 0}}),
    IndexModel([*_NEWEST_FIRST], name="listing"),
    IndexModel([("status", ASCENDING), *_NEWEST_FIRST], name="listing_by_status"),
    # The counts read it too.
    IndexModel(
        [("process_type", ASCENDING), ("status", ASCENDING), *_NEWEST_FIRST],
        name="listing_by_type_and_status",
    ),
    IndexModel(
        [("labels", ASCENDING), ("status", ASCENDING), *_NEWEST_FIRST], name="listing_by_label_and_status"
    ),
    IndexModel(
        [("labels", ASCENDING), ("process_type", ASCENDING), *_NEWEST_FIRST], name="listing_by_label_and_type"
    ),
    IndexModel([*_NEWEST_FIRST], name="listing_of_attention", partialFilterExpression={"attention": True}),
)
_DEFINITIONS = (
    IndexModel(
        [("process_type", ASCENDING), ("current_since", DESCENDING), ("_id", DESCENDING)], name="current"
    ),
)
_SERVICE_REPORTS = (IndexModel([("at", ASCENDING)], name="forgotten", expireAfterSeconds=3_600),)
_LOCKS = (
    IndexModel([("holder", ASCENDING)], name="held"),
    IndexModel([("queue.root", ASCENDING)], name="awaited"),
)

_DELIVERIES = (
    # Only those that are still to be sent, and only those that are not.
    IndexModel([("due_at", ASCENDING)], name="due", partialFilterExpression={"due_at": {"$gte": 0}}),
    IndexModel([("ended_at", ASCENDING)], name="ended", partialFilterExpression={"ended_at": {"$gte": 0}}),
)


async def create_indexes(database: Database) -> None:
    """Create what is missing; what exists stays. `events` needs none but `_id`. Raises StoreUnavailable."""
    # The build of a new index over millions of processes takes minutes, and a time-out would undo it.
    with unavailable(), pymongo.timeout(_BUILD_S):
        await database["processes"].create_indexes(list(_PROCESSES))
        await database["definitions"].create_indexes(list(_DEFINITIONS))
        await database["locks"].create_indexes(list(_LOCKS))
        await database["deliveries"].create_indexes(list(_DELIVERIES))
        await database["service_reports"].create_indexes(list(_SERVICE_REPORTS))
