"""The barrier: what a participant remembers, so that a command that comes twice, or too late, does no harm.

Three things go wrong in a participant that does not remember. A command that is delivered again does its work
again. An undo that overtakes its action finds nothing, and the action that comes later stays for ever. An action
that was undone already is done once more. The barrier answers all three from one table in the participant's own
database, written in the transaction of the work itself: either both are there or neither is. The idea and its
three cases are those of dtm's sub-transaction barrier (dtm.pub, 2021).

By the idempotency key of an effect it remembers success, with the output, and that the effect was undone or
fenced. A failure it remembers by the command alone: the next attempt is a real one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeVar

from saga.messages.json_text import JsonText, to_text
from saga.participant import replies
from saga.participant.command import CompensatedStep, StepCommand, VerifiedStep
from saga.participant.failure import BusinessFailure
from saga.ports.participants import ReplyMessage

T = TypeVar("T")

NOTHING_TO_UNDO = to_text({"nothing_to_undo": True})


class Standing(StrEnum):
    """Say what is remembered of an effect, or of a command."""

    OPEN = "open"  # within a transaction only: nobody else ever reads it
    DONE = "done"
    UNDONE = "undone"  # or its undo came first: it must never be done any more
    FENCED = "fenced"  # it was asked about and had no effect: attempts up to `attempt` must have none
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Memory:
    """Hold one row: `text` is the output of what was done, or the body of a failure."""

    standing: Standing
    text: JsonText | None = None
    attempt: int = 0


class BarrierTransaction(Protocol):
    """One transaction in the participant's database."""

    @property
    def handle(self) -> object:
        """Give what a handler works with: a session of the library."""
        ...

    async def take(self, key: str, first: Memory) -> Memory | None:
        """Write `first` where nothing is remembered (None), or give what is; nobody else may until the end."""
        ...

    async def look(self, key: str) -> Memory | None:
        """Give what is remembered, without a lock."""
        ...

    async def put(self, key: str, memory: Memory) -> None:
        """Replace what is remembered."""
        ...


class Barrier(Protocol):
    """Run work in transactions of the participant's database, with what it remembers beside it."""

    @property
    def handle_types(self) -> tuple[type, ...]:
        """Name the types of parameters that a handler gets the transaction by."""
        ...

    async def run(self, work: Callable[[BarrierTransaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit it; what it raises rolls it back.

        Where another transaction was in the way, `work` may be run again, a bounded number of times.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections that the barrier itself opened."""
        ...


Work = Callable[[object], Awaitable[object]]


async def through(barrier: Barrier, command: StepCommand, work: Work) -> ReplyMessage:
    """Carry out a command behind the barrier; `work` gets the transaction's handle and gives the output.

    What `work` raises comes out of here, with nothing written, except that a BusinessFailure is remembered and
    answered.
    """
    try:
        return await barrier.run(lambda transaction: _decide(transaction, command, work))
    except BusinessFailure as failure:
        reply = replies.failed(command, replies.business_failure(failure))
    kept = Memory(Standing.FAILED, JsonText(reply.body.decode()))
    return await barrier.run(lambda transaction: _fail(transaction, command, kept))


async def answer_question(barrier: Barrier, command: StepCommand, asked: VerifiedStep) -> ReplyMessage:
    """Say whether an attempt took effect. Where it did not, it never will: that is remembered."""

    async def look(transaction: BarrierTransaction) -> ReplyMessage:
        fence = Memory(Standing.FENCED, attempt=asked.attempt)
        known = await transaction.take(_effect(asked.idempotency_key), fence)
        if known is not None and known.standing is Standing.DONE:
            return replies.completed_text(command, known.text or NOTHING_TO_UNDO)
        if known is not None and known.standing is Standing.FENCED and known.attempt < asked.attempt:
            await transaction.put(_effect(asked.idempotency_key), fence)
        return replies.failed(command, replies.Failure("not_found", "it had no effect", retryable=False))

    return await barrier.run(look)


async def _decide(transaction: BarrierTransaction, command: StepCommand, work: Work) -> ReplyMessage:
    failed = await transaction.look(_command(command))
    if failed is not None and failed.text is not None:
        return replies.repeated(command, failed.text)
    if command.compensates is not None:
        return await _undo(transaction, command, command.compensates, work)
    return await _do(transaction, command, work)


async def _do(transaction: BarrierTransaction, command: StepCommand, work: Work) -> ReplyMessage:
    key = _effect(command.idempotency_key)
    known = await transaction.take(key, Memory(Standing.OPEN))
    match known:
        case Memory(Standing.DONE, text):
            return replies.completed_text(command, text or NOTHING_TO_UNDO)
        case Memory(Standing.UNDONE):
            message = "this was undone already, or its undo came first"
            return replies.failed(command, replies.Failure("undone", message, retryable=False))
        case Memory(Standing.FENCED, attempt=fenced) if command.attempt <= fenced:
            message = "this attempt was asked about, and was said to have no effect"
            return replies.failed(command, replies.Failure("fenced", message, retryable=True))
        case _:
            text = replies.output_text(await work(transaction.handle))
            await transaction.put(key, Memory(Standing.DONE, text))
            return replies.completed_text(command, text)


async def _undo(
    transaction: BarrierTransaction, command: StepCommand, undone: CompensatedStep, work: Work
) -> ReplyMessage:
    key = _effect(command.idempotency_key)
    known = await transaction.take(key, Memory(Standing.OPEN))
    if known is not None and known.standing is Standing.DONE:
        return replies.completed_text(command, known.text or NOTHING_TO_UNDO)
    effect = await transaction.take(_effect(undone.idempotency_key), Memory(Standing.UNDONE))
    text = NOTHING_TO_UNDO
    if effect is not None and effect.standing is Standing.DONE:
        text = replies.output_text(await work(transaction.handle))
    if effect is not None:
        await transaction.put(_effect(undone.idempotency_key), replace(effect, standing=Standing.UNDONE))
    await transaction.put(key, Memory(Standing.DONE, text))
    return replies.completed_text(command, text)


async def _fail(transaction: BarrierTransaction, command: StepCommand, kept: Memory) -> ReplyMessage:
    known = await transaction.take(_command(command), kept)
    text = kept.text if known is None or known.text is None else known.text
    return replies.repeated(command, text or NOTHING_TO_UNDO)


def _effect(key: str) -> str:
    return f"effect:{key}"


def _command(command: StepCommand) -> str:
    return f"command:{command.command_id}"
