"""The wake message: a timer that went off, on its way to whichever coordinator takes it."""

from saga.messages.json_text import Json, JsonText, to_text
from saga.values import value


@value
class WakeCommand:
    """Name a timer: set at this version of the process, for this time in milliseconds."""

    process_id: str
    version: int
    due_at: int

    @property
    def identity(self) -> str:
        """Give what makes a second wake of the same timer a duplicate."""
        return f"wake:{self.process_id}:{self.version}:{self.due_at}"

    def to_body(self) -> JsonText:
        """Write the message."""
        return to_text({"process_id": self.process_id, "version": self.version, "due_at": self.due_at})


def parse_wake(body: Json) -> WakeCommand:
    """Read a wake. Raises ValueError."""
    if isinstance(body, dict):
        process_id, version, due_at = body.get("process_id"), body.get("version"), body.get("due_at")
        if isinstance(process_id, str) and type(version) is int and type(due_at) is int:
            return WakeCommand(process_id, version, due_at)
    raise ValueError("a wake holds process_id, version and due_at")
