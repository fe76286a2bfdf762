"""The timeline and the graph of a process, as they are read."""

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Span(_Answer):
    """One attempt, or one time of waiting; without `ended_at` it lasts still, `until` at most."""

    kind: str
    step: str | None
    attempt: int | None
    command_id: str | None
    waits_for: str | None
    started_at: str
    until: str | None
    ended_at: str | None
    outcome: str | None


class Timeline(_Answer):
    """What a process did when, in the order in which it began."""

    process_id: str
    process_type: str
    status: str
    version: int
    started_at: str
    ended_at: str | None
    spans: list[Span]


class UndoOfNode(_Answer):
    """What undoes a step; the status is there once it stands in the undo plan."""

    action: str
    status: str | None


class Node(_Answer):
    """One step, and where it stands."""

    name: str
    kind: str
    service: str
    action: str
    pivot: bool
    status: str
    compensation: UndoOfNode | None


class Edge(_Answer):
    """From a step to one that waits for it."""

    from_: str = Field(alias="from")
    to: str


class ProcessGraph(_Answer):
    """The steps of a process and their order."""

    process_id: str
    process_type: str
    status: str
    version: int
    nodes: list[Node]
    edges: list[Edge]
