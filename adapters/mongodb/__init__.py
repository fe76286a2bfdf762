"""The store on MongoDB: the log, the projections, the definitions and the store's clock."""

from adapters.mongodb.client import Driver
from adapters.mongodb.store import MongoStore

__all__ = ["Driver", "MongoStore"]
