"""A service that answers as a test tells it to, and remembers what it was asked."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

from saga.messages import strict_json
from saga.messages.json_text import to_text
from saga.participant import replies
from saga.participant.command import StepCommand, read_command
from saga.participant.failure import BusinessFailure
from saga.ports.participants import NoReply, ReplyMessage

Output: TypeAlias = object | Callable[[StepCommand], object]
Send: TypeAlias = Callable[[ReplyMessage], None]


class UnscriptedCommand(AssertionError):  # noqa: N818 - what came
    """Say which command came that the test did not speak of."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer of a script: what is said, how long it takes, how often it is given before the next one."""

    says: tuple[Callable[[StepCommand], ReplyMessage], ...]
    after_s: float = 0
    times: int | None = None
    reports_every_s: float | None = None


@dataclass
class Script:
    """Say how an action is answered, one answer after the other; the last one stays.

    `completes`, `fails` and `never_answers` each add an answer; `after`, `times`, `twice`, `then_fails` and
    `reporting` say more about the one before them.
    """

    _answers: list[_Answer] = field(default_factory=list)
    _given: int = 0

    def completes(self, output: Output = None) -> Self:
        """Answer by success, with this output or with what a function makes of the command."""
        return self._add(lambda command: _completed(command, output))

    def fails(
        self,
        code: str,
        message: str = "",
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        effect_unknown: bool = False,
    ) -> Self:
        """Answer by failure: that nothing happened, or, with `effect_unknown`, that something may have."""
        failure = replies.Failure(code, message, retryable, retry_after, effect_unknown)
        return self._add(lambda command: replies.failed(command, failure))

    def never_answers(self) -> Self:
        """Take the command and say nothing, as a service does that dies."""
        self._answers.append(_Answer(()))
        return self

    def after(self, seconds: float) -> Self:
        """Give that answer so much later. Raises ValueError for a time that is over."""
        if not seconds >= 0:
            raise ValueError(f"an answer comes after zero or more seconds, not {seconds!r}")
        return self._say_more(after_s=seconds)

    def times(self, count: int) -> Self:
        """Give that answer so often, then the next one. Raises ValueError below once."""
        if count < 1:
            raise ValueError(f"an answer is given once or more often, not {count!r} times")
        return self._say_more(times=count)

    def twice(self) -> Self:
        """Say the same a second time."""
        return self._say_more(says=self._last.says * 2)

    def then_fails(self, code: str) -> Self:
        """Contradict that answer by a failure right behind it."""
        failure = replies.Failure(code, "", retryable=False)
        return self._say_more(says=(*self._last.says, lambda command: replies.failed(command, failure)))

    def reporting(self, *, every: float) -> Self:
        """Report progress all the while until that answer comes. Raises ValueError for no time between."""
        if not every > 0:
            raise ValueError(f"there is some time between two reports, not {every!r} seconds")
        return self._say_more(reports_every_s=every)

    def next(self) -> _Answer | None:
        """Give the answer whose turn it is; None for a script without any."""
        turn, self._given = self._given, self._given + 1
        for answer in self._answers[:-1]:
            if turn < (answer.times or 1):
                return answer
            turn -= answer.times or 1
        return self._answers[-1] if self._answers else None

    @property
    def _last(self) -> _Answer:
        if not self._answers:
            raise ValueError("say first what is answered: completes, fails or never_answers")
        return self._answers[-1]

    def _add(self, say: Callable[[StepCommand], ReplyMessage]) -> Self:
        self._answers.append(_Answer((say,)))
        return self

    def _say_more(self, **more: object) -> Self:
        self._answers[-1] = replace(self._last, **more)  # type: ignore[arg-type]  # by the methods above only
        return self


class ScriptedService:
    """Answer the commands of one service by script, and keep them: `commands` has them in their order."""

    def __init__(self, name: str, send: Send) -> None:
        self.name = name
        self.commands: list[StepCommand] = []
        self._otherwise = Script()
        self._scripts: dict[str, Script] = {}
        self._send = send

    def on(self, action: str) -> Script:
        """Begin the script of an action, of an undo or of a question, in the place of the one that it had."""
        script = self._scripts[action] = Script()
        return script

    def otherwise(self) -> Script:
        """Begin the script of all that have none of their own."""
        self._otherwise = Script()
        return self._otherwise

    @property
    def actions(self) -> list[str]:
        """Name the actions that were asked for, in their order."""
        return [command.action for command in self.commands]

    async def take(self, body: bytes) -> NoReply:
        """Take a command; its answers travel by themselves. Raises UnscriptedCommand."""
        command = read_command(strict_json.decode(body))
        self.commands.append(command)
        answer = self._scripts.get(command.action, self._otherwise).next()
        if answer is None:
            raise UnscriptedCommand(self._unscripted(command))
        for report in self._reports(answer, command):
            self._say(*report)
        for say in answer.says:
            self._say(answer.after_s, say(command))
        return NoReply.ELSEWHERE

    def _say(self, after_s: float, reply: ReplyMessage) -> None:
        if after_s <= 0:
            self._send(reply)
            return
        asyncio.get_running_loop().call_later(after_s, self._send, reply)

    def _reports(self, answer: _Answer, command: StepCommand) -> Iterator[tuple[float, ReplyMessage]]:
        if answer.reports_every_s is None:
            return
        at = answer.reports_every_s
        while at < answer.after_s:
            percent = round(100 * at / answer.after_s)
            body = to_text({"command_id": command.command_id, "percent": percent}).encode()
            message_id = f"{command.command_id}.progress.{percent}.{at:g}"
            yield at, ReplyMessage(f"{command.reply_key}.progress", body, message_id, command.process_id)
            at += answer.reports_every_s

    def _unscripted(self, command: StepCommand) -> str:
        known = ", ".join(sorted(self._scripts)) or "nothing"
        return (
            f"the service {self.name!r} was asked to {command.action} (step {command.step!r}, {command.kind}, "
            f"attempt {command.attempt}), and the test says nothing of it: it speaks of {known}. "
            f'Say service("{self.name}").on("{command.action}").completes(), or what else it answers'
        )


def _completed(command: StepCommand, output: Output) -> ReplyMessage:
    try:
        return replies.completed(command, output(command) if callable(output) else output)
    except BusinessFailure as failure:
        return replies.failed(command, replies.business_failure(failure))
