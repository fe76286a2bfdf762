"""The port for those who watch the coordinator: metrics, logs, and the tests that kill it at a named point."""

from typing import Protocol


class Observer(Protocol):
    """Hear what the coordinator does; must be quick and must not raise."""

    def reached(self, point: str) -> None:
        """Pass a named point of the protocol (see `saga.coordinator.handler`)."""
        ...

    def counted(self, name: str, **labels: str) -> None:
        """Count one occurrence, such as a duplicate or a dead letter."""
        ...
