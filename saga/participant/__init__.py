"""The kit for those who write participants: all that they import."""

from saga.participant.barriers import mongo_barrier, sql_barrier
from saga.participant.command import CompensatedStep, StepCommand, VerifiedStep
from saga.participant.failure import BusinessFailure
from saga.participant.participant import Participant
from saga.participant.progress import Progress
from saga.participant.service import run, serve

__all__ = [
    "BusinessFailure",
    "CompensatedStep",
    "Participant",
    "Progress",
    "StepCommand",
    "VerifiedStep",
    "mongo_barrier",
    "run",
    "serve",
    "sql_barrier",
]
