"""Compare the ends of processes with what really happened in the participants' world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga.messages.start import id_for_child
from tests.simulation.written import key_of

if TYPE_CHECKING:
    from tests.simulation.cases import Case
    from tests.simulation.world import World


def judge_effects(world: World) -> None:
    """Look at every process that ended, where nobody lied about it."""
    for process_id, case in world.judge.cases.items():
        if process_id in world.participants.liars:
            continue
        for name in case.interpreter.actions:
            if (process_id, name) in world.operator.by_word or name in case.interpreter.items:
                continue  # a person said what became of it
            if case.written.kind(name) == "service":
                _judge_effect(world, process_id, case, name)
            elif case.written.kind(name) == "process":
                _judge_child(world, process_id, case, name)


def _judge_effect(world: World, process_id: str, case: Case, name: str) -> None:
    participants, key = world.participants, key_of(process_id, name)
    after_all = [one for one in world.judge.sent_after_all if one.startswith(key)]
    if any(one not in participants.told for one in after_all):
        return  # it went out after it was answered as unroutable, and nobody told of its effect
    effects, undone = participants.effects[key], participants.undone[key]
    if effects > 1:
        world.judge.complain("I6", key, f"took effect {effects} times")
    is_done = case.interpreter.actions[name].status == "done"
    if case.status == "completed" and (effects != is_done or undone):
        world.judge.complain("I9", key, f"completed with {effects} effects, {undone} undone")
    if case.status == "compensated" and case.written.has_undo(name) and effects and not undone:
        world.judge.complain("I9", key, "compensated, and its effect is still there")


def _judge_child(world: World, process_id: str, case: Case, name: str) -> None:
    """A process that is undone leaves no child that isn't, and one that completed has one that completed."""
    action, key = case.interpreter.actions[name], key_of(process_id, name)
    for attempt in range(1, action.sent + 1):
        child_id = id_for_child(f"{key}{attempt}")
        child = world.judge.cases.get(child_id)
        status = "missing" if child is None else child.status
        allowed = {"compensated", "failed", "missing"}
        if action.status == "done" and attempt == action.sent and case.status == "completed":
            allowed = {"completed"}
        elif not case.written.has_undo(name):
            allowed |= {"completed"}
        if child_id in world.operator.troubled:
            allowed |= {"completed", "compensated", "failed"}  # somebody asked for that, of the child alone
        if case.status in ("completed", "compensated") and status not in allowed:
            world.judge.complain("I9", child_id, f"is {status}, and its parent {process_id} is {case.status}")
