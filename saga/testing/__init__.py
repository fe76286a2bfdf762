"""The testing kit: a harness for sagas, the ports in memory, and a loop in which hours pass at once.

The in-memory ports pass the same contract as the real ones. They keep nothing over a restart, and nothing
goes wrong in them: who wants faults puts them in front.
"""

from saga.testing.broker import DeadLetter, InMemoryBroker, InMemoryDelivery, InMemoryMessage
from saga.testing.bus import InMemoryBus, InMemoryParticipants
from saga.testing.clock import LoopClock, ManualClock
from saga.testing.definitions import InMemoryDefinitionStore
from saga.testing.deliveries import InMemoryDeliveryStore
from saga.testing.event_log import InMemoryEventLog
from saga.testing.harness import CountedIds, Harness
from saga.testing.harness_process import HarnessProcess, StandsStill, StepSeen
from saga.testing.locks import InMemoryLockStore
from saga.testing.projections import InMemoryProjectionStore
from saga.testing.scripted import Script, ScriptedService, UnscriptedCommand
from saga.testing.service_reports import InMemoryServiceReports
from saga.testing.virtual_time import NothingLeftToHappen, VirtualTimeLoop

__all__ = [
    "CountedIds",
    "DeadLetter",
    "Harness",
    "HarnessProcess",
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
    "InMemoryServiceReports",
    "LoopClock",
    "ManualClock",
    "NothingLeftToHappen",
    "Script",
    "ScriptedService",
    "StandsStill",
    "StepSeen",
    "UnscriptedCommand",
    "VirtualTimeLoop",
]
