"""What a compensation would send, as it is read."""

from pydantic import BaseModel, ConfigDict, JsonValue


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AwaitedCommand(_Answer):
    """A command in flight whose outcome a compensation waits for; its undo goes too if it took effect."""

    step: str
    kind: str
    command_id: str
    compensation: str | None


class PreviewedCommand(_Answer):
    """A command as it would be sent; in the real one only `deadline` and `reply_key` may differ."""

    command_id: str
    step: str | None
    routing_key: str
    body: dict[str, JsonValue]


class NotUndone(_Answer):
    """A step that took effect, or may have, and would not be undone."""

    step: str
    code: str
    reason: str


class EndOfUndo(_Answer):
    """Where the process would stand behind the last wave."""

    status: str
    reason: str | None


class UndoPreviewDocument(_Answer):
    """What a compensation would send; each wave goes once the one before it is acknowledged."""

    process_id: str
    process_type: str
    status: str
    version: int
    is_allowed: bool
    refusal: str | None
    awaits: list[AwaitedCommand]
    waves: list[list[PreviewedCommand]]
    not_undone: list[NotUndone]
    ends: EndOfUndo
