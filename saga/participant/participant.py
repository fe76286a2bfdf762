"""A participant: the service that carries out steps, as a set of handlers.

`answer` is all there is to it: bytes in, a reply out, and no bus. A transport carries both.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pydantic

from saga.messages import strict_json
from saga.participant import replies
from saga.participant.barrier import Barrier, answer_question, through
from saga.participant.command import StepCommand, UnanswerableCommand, VerifiedStep, read_command
from saga.participant.failure import BusinessFailure
from saga.participant.handler import Handler, HandlerFunction, Part, inspect_handler
from saga.participant.progress import SPACING_S, Report, reporting
from saga.ports.participants import NoReply, ReplyMessage

_log = logging.getLogger(__name__)

_THREADS_MAX = 64

Function = TypeVar("Function", bound=HandlerFunction)


class Participant:
    """Hold the handlers of one service, by the name of the action.

        payment = Participant("payment")

        @payment.handles("charge")
        async def charge(order: Order, command: StepCommand) -> Receipt: ...

    The first parameter's annotation says what the input must be (a pydantic model, a TypedDict, anything
    that pydantic validates); a StepCommand or a Progress is given where one is asked for. What is returned is
    the output. Plain functions run in a thread.

    With a `barrier` commands that come twice or too late do no harm, and a coroutine gets the barrier's
    transaction by its type: what it writes there and what is remembered are kept together or not at all.
    `is_idempotent` says that the handlers see to it themselves.
    """

    def __init__(self, service: str, *, barrier: Barrier | None = None, is_idempotent: bool = False) -> None:
        self.service = service
        self.remembers = barrier is not None or is_idempotent
        self._barrier = barrier
        self._handlers: dict[str, Handler] = {}
        self._threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix=f"participant-{service}")

    @property
    def actions(self) -> tuple[str, ...]:
        """Name the actions that have a handler."""
        return tuple(self._handlers)

    def handles(self, action: str, *, heartbeat: float | None = None) -> Callable[[Function], Function]:
        """Make a function the handler of an action (or of a compensation: it is an action too).

        With `heartbeat` it is reported every so many seconds that the handler is still at work: choose a third
        of the step's time-out. Raises TypeError for a signature that can't be served, ValueError for an action
        that has a handler.
        """
        if heartbeat is not None and heartbeat < SPACING_S:
            raise ValueError(f"a heartbeat of {heartbeat} s: it must be {SPACING_S:g} s or longer")
        types = () if self._barrier is None else self._barrier.handle_types
        # Types that are local to the function around are found by their names only here.
        local_names: Mapping[str, object] = sys._getframe(1).f_locals  # noqa: SLF001

        def register(function: Function) -> Function:
            if action in self._handlers:
                raise ValueError(f"the action {action!r} of {self.service} has a handler already")
            self._handlers[action] = inspect_handler(function, local_names, types, heartbeat)
            return function

        return register

    async def answer(self, body: bytes, *, report: Report | None = None) -> ReplyMessage | NoReply:
        """Carry out one command and give the reply, or say that nobody could answer it.

        `report` publishes what the handler says while it works; without it that is lost. Never raises, except
        that it is cancelled: then the command is as good as never seen. An exception of a handler becomes a
        failure that says that something may have happened.
        """
        try:
            command = read_command(strict_json.decode(body))
        except (strict_json.MalformedJson, strict_json.UnstorableJson, UnanswerableCommand) as error:
            _log.error("%s: a message is no command: %s", self.service, error)
            return NoReply.UNANSWERABLE
        if self._barrier is not None and command.verifies is not None:
            return await self._look(self._barrier, command, command.verifies)
        handler = self._handlers.get(command.action)
        if handler is None:
            _log.error("%s: %s asks for an unknown action", self.service, command.command_id)
            return replies.failed(
                command,
                replies.Failure("unknown_action", f"{self.service} has no such action", retryable=False),
            )
        return await self._carry_out(handler, command, report)

    async def close(self) -> None:
        """Let go of what the barrier opened."""
        if self._barrier is not None:
            await self._barrier.close()

    async def _look(self, barrier: Barrier, command: StepCommand, asked: VerifiedStep) -> ReplyMessage:
        try:
            return await answer_question(barrier, command, asked)
        except Exception:  # noqa: BLE001 - the database may be away: then this is no answer
            return self._unexpected(command, effect_unknown=True)

    async def _carry_out(self, handler: Handler, command: StepCommand, report: Report | None) -> ReplyMessage:
        try:
            value = handler.read_input(command)
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return replies.failed(
                command, replies.invalid_input([(each["loc"], each["type"]) for each in found])
            )
        except Exception:  # noqa: BLE001 - a validator of the author's raised what no validator should
            return self._unexpected(command, effect_unknown=False)
        try:
            async with reporting(command, report, heartbeat_s=handler.heartbeat_s) as progress:
                given = {Part.INPUT: value, Part.COMMAND: command, Part.PROGRESS: progress}
                if self._barrier is None:
                    return replies.completed(command, await handler.call(given, self._threads))
                return await through(
                    self._barrier,
                    command,
                    lambda handle: handler.call({**given, Part.TRANSACTION: handle}, self._threads),
                )
        except BusinessFailure as failure:
            return replies.failed(command, replies.business_failure(failure))
        except replies.UnusableOutput as error:
            # Another attempt would do the same again; the effect is there, so the step must be undone.
            _log.error("%s: the output of %s is unusable: %s", self.service, command.command_id, error)
            return replies.failed(
                command,
                replies.Failure(
                    "unusable_output",
                    "what the handler returned is not JSON that can be kept",
                    retryable=False,
                    effect_unknown=True,
                ),
            )
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return self._unexpected(command, effect_unknown=True)
        except Exception:  # noqa: BLE001 - whatever it was, the orchestrator must hear of it
            return self._unexpected(command, effect_unknown=True)

    def _unexpected(self, command: StepCommand, *, effect_unknown: bool) -> ReplyMessage:
        _log.exception("%s: the handler of %r failed on %s", self.service, command.action, command.command_id)
        return replies.failed(
            command,
            replies.Failure(
                "handler_error",
                "the handler failed unexpectedly; the log of the participant says more",
                retryable=True,
                effect_unknown=effect_unknown,
            ),
        )


def _is_cancelled() -> bool:
    """Tell whether this task is asked to end, or the handler let a CancelledError of its own out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
