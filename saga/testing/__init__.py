"""The testing kit: the ports in memory, clocks that are moved, and a loop where sleeping costs nothing.

The in-memory ports pass the same contract as the real ones. They keep nothing over a restart, and nothing
goes wrong in them: who wants faults puts them in front.
"""

from saga.testing.broker import DeadLetter, InMemoryBroker, InMemoryDelivery, InMemoryMessage
from saga.testing.bus import InMemoryBus, InMemoryParticipants
from saga.testing.clock import LoopClock, ManualClock
from saga.testing.definitions import InMemoryDefinitionStore
from saga.testing.deliveries import InMemoryDeliveryStore
from saga.testing.event_log import InMemoryEventLog
from saga.testing.locks import InMemoryLockStore
from saga.testing.projections import InMemoryProjectionStore
from saga.testing.virtual_time import NothingLeftToHappen, VirtualTimeLoop

__all__ = [
    "DeadLetter",
    "InMemoryBroker",
    "InMemoryBus",
    "InMemoryDefinitionStore",
    "InMemoryDelivery",
    "InMemoryDeliveryStore",
    "InMemoryEventLog",
    "InMemoryLockStore",
    "InMemoryMessage",
    "InMemoryParticipants",
    "InMemoryProjectionStore",
    "LoopClock",
    "ManualClock",
    "NothingLeftToHappen",
    "VirtualTimeLoop",
]
