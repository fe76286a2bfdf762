"""What participants remember of the commands that reached them, as an auditor would want it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Received:
    """One arrival of a command: who it was for, its bytes, and the properties that it travelled with."""

    command_id: str
    idempotency_key: str
    process_id: str
    process_type: str
    step: str
    kind: str
    attempt: int
    routing_key: str
    body: bytes
    properties: Mapping[str, object]
    at_s: float


@dataclass(slots=True)
class Ledger:
    """Keep every arrival in order, and what each idempotency key brought about: one effect at most."""

    arrivals: list[Received] = field(default_factory=list)
    effects: dict[str, str] = field(default_factory=dict)

    def receive(
        self, body: bytes, routing_key: str, properties: Mapping[str, object], command: Mapping[str, object]
    ) -> Received:
        """Write an arrival down, whether or not it came before."""
        attempt = command["attempt"]
        assert isinstance(attempt, int)
        received = Received(
            command_id=str(command["command_id"]),
            idempotency_key=str(command["idempotency_key"]),
            process_id=str(command["process_id"]),
            process_type=str(command["process_type"]),
            step=str(command["step"]),
            kind=str(command["kind"]),
            attempt=attempt,
            routing_key=routing_key,
            body=body,
            properties=properties,
            at_s=time.monotonic(),
        )
        self.arrivals.append(received)
        return received

    def of(self, process_id: str, *, step: str | None = None, kind: str | None = None) -> list[Received]:
        """Give the arrivals of one process in order, maybe only of one step and kind."""
        return [
            one
            for one in self.arrivals
            if one.process_id == process_id and step in (None, one.step) and kind in (None, one.kind)
        ]

    def order(self, process_id: str, kind: str) -> list[str]:
        """Give the steps of one kind in the order of their first arrival."""
        return list(dict.fromkeys(one.step for one in self.of(process_id, kind=kind)))
