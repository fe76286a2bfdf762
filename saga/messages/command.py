"""Step commands: the orders to participants, and the ids that are derived, never drawn."""

import re

from saga.values import value

NAME_PATTERN = r"[a-z][a-z0-9_]{0,39}"

_KIND_LETTERS = {"action": "a", "compensation": "c", "verify": "v"}
_KINDS = {letter: kind for kind, letter in _KIND_LETTERS.items()}
_COMMAND_ID = re.compile(
    rf"(?P<process>[A-Za-z0-9_-]{{1,64}})\.(?P<step>{NAME_PATTERN})(?:\.(?P<index>0|[1-9][0-9]{{0,5}}))?"
    r"\.(?P<kind>[acv])(?P<attempt>[1-9][0-9]{0,5})",
    re.ASCII,
)
# The prefix of the routing keys of replies that works always, whatever a command named.
REPLY_KEY = "step"
_REPLIES = frozenset({f"{REPLY_KEY}.completed", f"{REPLY_KEY}.failed"})
# The routing key of the word that a process was rerun from another.
FORKED = "process.forked"


@value
class CommandRef:
    """Name one command: the parts that its id is made of.

    `step` is a step's name, or that of one of its instances, `step[index]`.
    """

    process_id: str
    step: str
    kind: str
    attempt: int

    @property
    def command_id(self) -> str:
        """Write the id; URL-safe, at most 128 characters, opaque to participants."""
        return f"{self.idempotency_key}{self.attempt}"

    @property
    def idempotency_key(self) -> str:
        """Write the key that stays the same over all attempts of one effect."""
        step = self.step.replace("[", ".").removesuffix("]")
        return f"{self.process_id}.{step}.{_KIND_LETTERS[self.kind]}"


@value
class Command:
    """Hold a command exactly as it is stored and sent: the same bytes at every publication.

    Beside orders to participants there are those to other processes, and the answer to a parent process.
    """

    command_id: str
    routing_key: str
    body: str

    @property
    def is_reply(self) -> bool:
        """Say whether it answers the command of a parent process."""
        return self.routing_key in _REPLIES

    @property
    def is_answered(self) -> bool:
        """Say whether an answer to it, or to what it is about, comes into the log of whoever sent it."""
        return not self.is_reply and self.routing_key != FORKED

    @property
    def is_order(self) -> bool:
        """Say whether it goes to a participant."""
        return self.routing_key.startswith("step.") and not self.is_reply

    @property
    def concerns(self) -> str:
        """Give the step's command that it is, or that it is about."""
        return self.command_id.partition(":")[0]


def parse_command_id(command_id: str) -> CommandRef | None:
    """Read the parts back; None for anything that no command of ours was ever called."""
    match = _COMMAND_ID.fullmatch(command_id)
    if match is None:
        return None
    index = match["index"]
    step = match["step"] if index is None else f"{match['step']}[{index}]"
    return CommandRef(match["process"], step, _KINDS[match["kind"]], int(match["attempt"]))
