"""Batuta: an event-driven saga orchestrator. Users import what stands here, and `saga.participant`."""

from saga.definition.builder import Compensation, Retry, Saga, Step
from saga.errors import InvalidDefinition, SagaError

__all__ = ["Compensation", "InvalidDefinition", "Retry", "Saga", "SagaError", "Step"]
