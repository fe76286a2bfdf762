"""Batuta: an event-driven saga orchestrator. Users import what stands here, and `saga.participant`."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saga.definition.builder import Compensation, Retry, Saga, Step, Verify
    from saga.errors import InvalidDefinition, SagaError

__all__ = ["Compensation", "InvalidDefinition", "Retry", "Saga", "SagaError", "Step", "Verify"]

_BUILDERS = ("Compensation", "Retry", "Saga", "Step", "Verify")
_ERRORS = ("InvalidDefinition", "SagaError")


def __getattr__(name: str) -> object:
    """Load a name when it is first used: the builder takes a third of a second, too long for `saga`."""
    if name in _BUILDERS:
        return getattr(importlib.import_module("saga.definition.builder"), name)
    if name in _ERRORS:
        return getattr(importlib.import_module("saga.errors"), name)
    raise AttributeError(f"module 'saga' has no attribute {name!r}")
