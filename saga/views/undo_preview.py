"""What a compensation would send, as people and programs read it."""

from collections.abc import Mapping
from types import MappingProxyType

from saga.definition.graph import StepGraph
from saga.messages.command import Command, CommandRef, parse_command_id
from saga.messages.json_text import Json, JsonObject, from_text
from saga.process.state import ProcessState
from saga.replay.undo_preview import Left, LeftStep, UndoPreview

_SENTENCES: Mapping[Left, str] = MappingProxyType(
    {
        Left.PIVOT_PASSED: "the pivot has passed: from there on the process only goes forward",
        Left.NO_COMPENSATION: "its definition names no compensation",
        Left.NOTHING_SENT: "it is a signal: nothing was sent that could be undone",
        Left.SKIPPED: "a person left its undo out",
        Left.STUCK: "its undo can't be sent, or spent its attempts: a person must retry or skip it",
        Left.WAITS: "its undo waits for one that is stuck, or the log is full",
        Left.NOT_ALLOWED: "the process can't be compensated where it stands",
    }
)


def undo_preview_document(graph: StepGraph, state: ProcessState, preview: UndoPreview) -> JsonObject:
    """Write a preview; the commands stand in it whole, as they would be sent."""
    return {
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "status": str(state.status),
        "version": state.version,
        "is_allowed": preview.refusal is None,
        "refusal": preview.refusal,
        "awaits": [_awaited(graph, ref) for ref in preview.awaited],
        "waves": [[_command(command) for command in wave] for wave in preview.waves],
        "not_undone": [_left(left) for left in preview.left],
        "ends": {
            "status": str(preview.end.status),
            "reason": preview.end.suspended_for or preview.end.reason,
        },
    }


def _awaited(graph: StepGraph, ref: CommandRef) -> JsonObject:
    compensation = graph.node_of(ref.step).compensation
    return {
        "step": ref.step,
        "kind": ref.kind,
        "command_id": ref.command_id,
        "compensation": None if compensation is None else compensation.action,
    }


def _command(command: Command) -> JsonObject:
    about = parse_command_id(command.concerns)
    body: Json = from_text(command.body)
    return {
        "command_id": command.command_id,
        "step": None if about is None else about.step,
        "routing_key": command.routing_key,
        "body": body,
    }


def _left(left: LeftStep) -> JsonObject:
    return {"step": left.step, "code": str(left.why), "reason": _SENTENCES[left.why]}
