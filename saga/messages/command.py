"""Step commands: the orders to participants, and the ids that are derived, never drawn."""

import re
from dataclasses import dataclass

NAME_PATTERN = r"[a-z][a-z0-9_]{0,39}"

_KIND_LETTERS = {"action": "a", "compensation": "c"}
_KINDS = {letter: kind for kind, letter in _KIND_LETTERS.items()}
_COMMAND_ID = re.compile(
    rf"(?P<process>[A-Za-z0-9_-]{{1,64}})\.(?P<step>{NAME_PATTERN})\.(?P<kind>[ac])(?P<attempt>[1-9][0-9]{{0,5}})"
)


@dataclass(frozen=True, slots=True)
class CommandRef:
    """Name one command: the parts that its id is made of."""

    process_id: str
    step: str
    kind: str
    attempt: int

    @property
    def command_id(self) -> str:
        """Write the id; URL-safe, at most 128 characters, opaque to participants."""
        return f"{self.process_id}.{self.step}.{_KIND_LETTERS[self.kind]}{self.attempt}"

    @property
    def idempotency_key(self) -> str:
        """Write the key that stays the same over all attempts of one effect."""
        return f"{self.process_id}.{self.step}.{_KIND_LETTERS[self.kind]}"


@dataclass(frozen=True, slots=True)
class Command:
    """Hold a command exactly as it is stored and sent: the same bytes at every publication."""

    command_id: str
    routing_key: str
    body: str


def parse_command_id(command_id: str) -> CommandRef | None:
    """Read the parts back; None for anything that no command of ours was ever called."""
    match = _COMMAND_ID.fullmatch(command_id)
    if match is None:
        return None
    return CommandRef(match["process"], match["step"], _KINDS[match["kind"]], int(match["attempt"]))
