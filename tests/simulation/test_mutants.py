"""The simulation is tested itself: each classic mistake, made on purpose, is found within few seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from saga.coordinator import standings
from saga.coordinator.handler import Handler
from saga.coordinator.outgoing import command_message
from saga.coordinator.publisher import Publisher
from saga.coordinator.standings import Standings
from saga.coordinator.worker import Worker
from saga.definition.graph import nodes_in
from saga.errors import BusUnavailable
from saga.messages.command import CommandRef
from saga.ports.bus import PublishResult
from saga.process import advance, decide, replying
from saga.process import events as ev
from saga.process.effects import effects
from saga.testing import InMemoryEventLog, InMemoryProjectionStore
from tests.simulation.plan import Plan
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

    async def hasty(self: Handler, message: Any, delivery: Any, ruling: Any, now: int) -> Any:
        commands = effects(ruling.graph, ruling.state, ruling.events)
        await self._parts.publisher.commands(ruling.state, commands, at=now)
        return await carry_out(self, message, delivery, ruling, now)

    patch.setattr(Handler, "_carry_out", hasty)


def no_unique_sequence(patch: Patch) -> None:
    """The store takes whatever comes."""

    def store(self: InMemoryEventLog, transition: Any) -> bool:
        self._logs.setdefault(transition.process_id, {})[transition.first] = transition
        return True

    patch.setattr(InMemoryEventLog, "store", store)


def a_publish_that_timed_out_is_taken_as_sent(patch: Patch) -> None:
    """Nobody ever gets the command."""

    async def publish(self: Publisher, message: Any) -> PublishResult:
        try:
            return await self._bus.publish(message)
        except BusUnavailable:
            return PublishResult.CONFIRMED

    patch.setattr(Publisher, "_publish", publish)


def a_duplicate_is_acknowledged_without_its_commands(patch: Patch) -> None:
    """What the dead writer did not publish stays unpublished."""
    patch.setattr(standings, "outstanding", lambda _state, _commands: ())


def compensation_in_forward_order(patch: Patch) -> None:
    """The first step is undone first."""

    def undoable(graph: Any, state: Any, seen: Any) -> Any:
        del state
        return (
            node.name for node in nodes_in(graph, seen.undo_pending) if not node.ancestors & seen.not_undone
        )

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
    patch.setattr(CommandRef, "idempotency_key", property(lambda ref: ref.command_id))


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
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_mistake_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """Within a bounded number of seeds a broken promise is reported."""
    mutant(monkeypatch)
    assert any(simulate(Plan.of(seed)).problems for seed in range(SEEDS_MAX)), (
        f"{SEEDS_MAX} seeds saw nothing"
    )
