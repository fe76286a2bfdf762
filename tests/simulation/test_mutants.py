"""The simulation is tested itself: each classic mistake, made on purpose, is found within few seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from saga.coordinator import publisher, standings
from saga.coordinator.handler import Handler
from saga.coordinator.lock_keeper import LockKeeper
from saga.coordinator.outgoing import command_message
from saga.coordinator.publisher import Publisher
from saga.coordinator.standings import Standings
from saga.coordinator.worker import Worker
from saga.definition.graph import nodes_in
from saga.errors import BusUnavailable
from saga.messages.command import CommandRef
from saga.ports.bus import PublishResult
from saga.process import advance, attempts, decide, evolve, evolve_steps, order, replying, timers, waking
from saga.process import events as ev
from saga.process.status import Direction
from saga.testing import InMemoryEventLog, InMemoryProjectionStore
from tests.simulation.plan import Plan
from tests.simulation.shrink import shrink
from tests.simulation.world import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

Patch = pytest.MonkeyPatch
SEEDS_MAX = 200


def acknowledge_before_the_append(patch: Patch) -> None:
    """The message is gone when the coordinator dies."""
    take = Worker.take

    async def hasty(self: Worker, delivery: Any) -> None:
        await delivery.acknowledge()
        await take(self, delivery)

    patch.setattr(Worker, "take", hasty)


def publish_before_the_append(patch: Patch) -> None:
    """Another coordinator may win the number, and the command stands in no log."""
    carry_out = Handler._carry_out

    async def hasty(self: Handler, rulings: Any, transitions: Any) -> Any:
        commands = [command for transition in transitions for command in transition.commands]
        await self._parts.publisher.commands(rulings[-1].state, commands, at=transitions[-1].at)
        return await carry_out(self, rulings, transitions)

    patch.setattr(Handler, "_carry_out", hasty)


def no_unique_sequence(patch: Patch) -> None:
    """The store takes whatever comes."""

    def store(self: InMemoryEventLog, transition: Any) -> bool:
        self._logs.setdefault(transition.process_id, {})[transition.first] = transition
        return True

    patch.setattr(InMemoryEventLog, "store", store)


def a_publish_that_timed_out_is_taken_as_sent(patch: Patch) -> None:
    """Nobody ever gets the command."""

    async def once(action: Any, observer: Any) -> PublishResult:
        del observer
        try:
            sent: PublishResult = await action()
        except BusUnavailable:
            return PublishResult.CONFIRMED
        return sent

    patch.setattr(publisher, "patiently", once)


def a_duplicate_is_acknowledged_without_its_commands(patch: Patch) -> None:
    """What the dead writer did not publish stays unpublished."""
    patch.setattr(standings, "outstanding", lambda _state, _commands: ())


def compensation_in_forward_order(patch: Patch) -> None:
    """The first step is undone first."""

    def undoable(graph: Any, state: Any, seen: Any) -> Any:
        for node in nodes_in(graph, seen.undo_pending):
            for name, step in state.steps.items():
                is_pending = step.undo is not None and step.undo.status == "pending"
                if graph.node_of(name) is node and is_pending and not node.ancestors & seen.not_undone:
                    yield name

    patch.setattr(advance, "undoable", undoable)


def a_late_completion_is_ignored(patch: Patch) -> None:
    """A step that happened after all is never undone."""
    succeed = replying.succeed

    def deaf(draft: Any, reply: Any) -> None:
        effort, _ = replying._answered(draft, reply)
        if effort.status.is_open:
            succeed(draft, reply)

    patch.setattr(decide, "succeed", deaf)


def timers_in_memory_only(patch: Patch) -> None:
    """They die with the coordinator that set them."""

    async def lease_due(_: InMemoryProjectionStore, **_more: int) -> tuple[()]:
        return ()

    patch.setattr(InMemoryProjectionStore, "lease_due", lease_due)


def a_returned_message_is_ignored(patch: Patch) -> None:
    """A command that no queue took counts as sent."""

    async def command(self: Publisher, state: Any, command: Any, at: int, *, again: bool) -> None:
        del again
        await self._publish(command_message(state, command, at=at))

    patch.setattr(Publisher, "_command", command)


def a_retry_has_a_new_idempotency_key(patch: Patch) -> None:
    """The participant can't tell that it did this before."""
    key = CommandRef.idempotency_key.fget  # type: ignore[attr-defined]

    def with_attempt(ref: CommandRef) -> str:
        return f"{key(ref)}{ref.attempt}"

    patch.setattr(CommandRef, "command_id", property(with_attempt))
    patch.setattr(CommandRef, "idempotency_key", property(with_attempt))


def a_second_outcome_is_accepted(patch: Patch) -> None:
    """The output of a completed step changes."""
    succeed = replying.succeed

    def gullible(draft: Any, reply: Any) -> None:
        effort, attempt = replying._answered(draft, reply)
        if effort.status == "done" and "completed" not in attempt.replies:
            draft.record(ev.AttemptCompleted(reply.direction, reply.step, reply.attempt, reply.output))
            advance.advance(draft)
        else:
            succeed(draft, reply)

    patch.setattr(decide, "succeed", gullible)


def a_ruling_on_a_stale_state_is_believed(patch: Patch) -> None:
    """A reply looks like a duplicate in the cache, and is lost."""
    remembered = Standings.remembered

    def sure(self: Standings, message: Any) -> Any:
        standing = remembered(self, message)
        return None if standing is None else replace(standing, is_fresh=True)

    patch.setattr(Standings, "remembered", sure)


def an_unordered_fan_out(patch: Patch) -> None:
    """The outputs of a list's items stand in the order in which they came."""
    parts = evolve_steps._gathered

    def gathered(state: Any, event: Any, at: int) -> Any:
        items = [name for name in state.steps if name.startswith(f"{event.step}[")]
        came = sorted(items, key=lambda name: state.step(name).action.settled_at or 0)
        steps = dict(state.steps) | {
            name: state.steps[other] for name, other in zip(items, came, strict=True)
        }
        changes: Any = parts(replace(state, steps=steps), event, at)
        return {**changes, "steps": {**state.steps, event.step: changes["steps"][event.step]}}

    patch.setattr(evolve_steps, "_gathered", gathered)


def the_undo_of_an_item_is_forgotten(patch: Patch) -> None:
    """The last item that took effect is not in the plan."""
    to_undo = order.to_undo

    def forgetful(graph: Any, state: Any) -> Any:
        names = to_undo(graph, state)
        items = [name for name in names if "[" in name]
        return tuple(name for name in names if name not in items[-1:])

    patch.setattr(advance, "to_undo", forgetful)


def a_lock_is_never_released(patch: Patch) -> None:
    """Who waits for it finds out by its timer, and nobody else."""

    async def keep(self: LockKeeper, state: Any) -> None:
        del self, state

    patch.setattr(LockKeeper, "_release_all", keep)


def a_child_is_doubled_at_its_time_out(patch: Patch) -> None:
    """Its step is tried again, as any step is, while the first child goes on."""

    def hasty(draft: Any, name: str, number: int) -> None:
        becomes = attempts.after_failure(
            draft, Direction.ACTION, name, code="timeout", attempt=number, effect_unknown=True
        )
        draft.record(ev.AttemptTimedOut(Direction.ACTION, name, number, becomes))
        if becomes == "retrying":
            attempts.schedule_retry(draft, Direction.ACTION, name)

    time_out = waking._time_out

    def timed_out(draft: Any, direction: Direction, name: str, attempt: int) -> None:
        if draft.graph.node_of(name).kind == "process" and direction is Direction.ACTION:
            hasty(draft, name, attempt)
        else:
            time_out(draft, direction, name, attempt)

    patch.setattr(waking, "_time_out", timed_out)


def not_found_is_believed_without_a_fence(patch: Patch) -> None:
    """The command is still on its way, and takes effect later."""
    fail_question = replying._fail_question

    def gullible(draft: Any, reply: Any) -> None:
        nodes = tuple(replace(node, fences=True) for node in draft.graph.nodes)
        graph = draft.graph
        draft.graph = replace(graph, nodes=nodes, by_name={node.name: node for node in nodes})
        fail_question(draft, reply)
        draft.graph = graph

    patch.setattr(replying, "_fail_question", gullible)


def a_pause_sends(patch: Patch) -> None:
    """What follows from a reply follows at once."""
    patch.setattr(advance, "is_moving", lambda state: not state.status.is_ended)


def a_deadline_runs_while_a_process_stands_still(patch: Patch) -> None:
    """It turns back a process that waits for a person."""
    deadline_at = timers.deadline_at

    def restless(graph: Any, state: Any) -> int | None:
        return deadline_at(graph, replace(state, stopped_at=None))

    patch.setattr(timers, "deadline_at", restless)
    patch.setattr(waking, "deadline_at", restless)


def a_request_is_obeyed_twice(patch: Patch) -> None:
    """Nobody remembers which requests were obeyed."""
    requested = evolve._requested

    def forgotten(state: Any, event: Any) -> Any:
        return {**requested(state, event), "requests": frozenset()}

    patch.setattr(evolve, "_requested", forgotten)


MUTANTS = (
    acknowledge_before_the_append,
    publish_before_the_append,
    no_unique_sequence,
    a_publish_that_timed_out_is_taken_as_sent,
    a_duplicate_is_acknowledged_without_its_commands,
    compensation_in_forward_order,
    a_late_completion_is_ignored,
    timers_in_memory_only,
    a_returned_message_is_ignored,
    a_retry_has_a_new_idempotency_key,
    a_second_outcome_is_accepted,
    a_ruling_on_a_stale_state_is_believed,
    an_unordered_fan_out,
    the_undo_of_an_item_is_forgotten,
    a_lock_is_never_released,
    a_child_is_doubled_at_its_time_out,
    not_found_is_believed_without_a_fence,
    a_pause_sends,
    a_deadline_runs_while_a_process_stands_still,
    a_request_is_obeyed_twice,
)


def test_a_failure_is_made_smaller_and_says_how_to_run_it_again(monkeypatch: Patch) -> None:
    """The printed command is a seed and what was left out of its plan: it stands for the same failure."""
    timers_in_memory_only(monkeypatch)
    failed = next(verdict for seed in range(SEEDS_MAX) if (verdict := simulate(Plan.of(seed))).problems)
    smallest = shrink(failed)
    assert len(smallest.plan.rates) < len(failed.plan.rates)
    printed = str(smallest).splitlines()[-1]
    words = dict(word.split("=") for word in printed.removeprefix("run it again: ").split()[:-2])
    assert printed.endswith(" make simulate")
    plan = Plan.of(int(words["SEED"])).narrowed(
        faults=words.get("FAULTS"), processes=words.get("PROCESSES"), coordinators=words.get("COORDINATORS")
    )
    assert simulate(plan).problems == smallest.problems


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_mistake_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """Within a bounded number of seeds a broken promise is reported."""
    mutant(monkeypatch)
    assert any(simulate(Plan.of(seed)).problems for seed in range(SEEDS_MAX)), (
        f"{SEEDS_MAX} seeds saw nothing"
    )
