"""Carry out the commands of one service by calling it: wait for an address, call, answer.

It promises that a command is sent on to another address only where the first one certainly did nothing, and
that a reply says that nothing happened only where that is certain.
"""

import asyncio
import datetime as dt
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from saga.calling.address import Address
from saga.calling.balance import Balance, Breaker, Wish
from saga.calling.line import Call, Line
from saga.calling.report import AddressReport, ServiceReport
from saga.calling.verdict import (
    UNAVAILABLE,
    Completed,
    Elsewhere,
    Failed,
    Verdict,
    judge,
    judge_silence,
    unusable,
)
from saga.calling.waiting_line import WaitingLine
from saga.errors import NotReady
from saga.messages import strict_json
from saga.messages.command import NAME_PATTERN
from saga.participant import replies
from saga.participant.command import StepCommand, UnanswerableCommand, read_command
from saga.participant.replies import Failure
from saga.ports.calls import Calls, NoAnswer
from saga.ports.clock import Clock
from saga.ports.observer import Observer
from saga.ports.participants import CARRIAGE, Carriage, NoReply, ReplyMessage

_log = logging.getLogger(__name__)

# Without a deadline, and for a command that is past its own: late answers count too.
_NO_DEADLINE_S = 30.0
_CALL_MIN_S = 5.0
# A command that could not be sent is answered so long before its deadline: an attempt that stays unanswered
# counts as one that may have had an effect.
_ANSWER_BEFORE_S = 1.0
# The broker takes a command back, and its channel down, that is unacknowledged for half an hour.
_WAIT_MAX_S = 600.0
_CALL_MAX_S = 1_500.0
_ACTION = re.compile(NAME_PATTERN)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Bound the calls to a service: how many at once to each address, and how long one may take at most."""

    at_once: int = 20
    seconds_max: float | None = None


@dataclass(frozen=True, slots=True)
class _Times:
    """Say when a command gives up waiting for an address, and when its call must be over (the loop's time)."""

    wait_until: float
    call_until: float


class ServiceCaller:
    """Answer commands by calling the addresses of one service; `answer` is a `CommandHandler`."""

    def __init__(
        self,
        service: str,
        addresses: Sequence[Address],
        *,
        calls: Calls,
        clock: Clock,
        observer: Observer,
        limits: CallLimits = CallLimits(),
        user_agent: str = "batuta",
    ) -> None:
        self.service = service
        self._addresses = addresses
        self._calls = calls
        self._clock = clock
        self._observer = observer
        self._limits = limits
        self._user_agent = user_agent
        self._balance = Balance(len(addresses), limit=limits.at_once)
        self._waiting = WaitingLine(self._balance)
        self._breaker = Breaker.CLOSED
        self._under_way: set[asyncio.Task[Verdict]] = set()
        self._in_hand: dict[str, asyncio.Task[Completed | Elsewhere | Failed]] = {}

    async def answer(self, body: bytes) -> ReplyMessage | NoReply:
        """Carry out one command. Raises CancelledError where it was let go, and never anything else."""
        try:
            command = read_command(strict_json.decode(body))
        except (strict_json.MalformedJson, strict_json.UnstorableJson, UnanswerableCommand) as error:
            _log.error("%s: a message is no command: %s", self.service, error)
            return NoReply.UNANSWERABLE
        if _ACTION.fullmatch(command.action) is None or _KEY.fullmatch(command.idempotency_key) is None:
            message = "the action or the idempotency key can't be sent over HTTP"
            return replies.failed(command, Failure("invalid_command", message, retryable=False))
        try:
            return self._reply(command, await self._once(command, body, CARRIAGE.get()))
        except Exception:  # noqa: BLE001 - whatever it was, the orchestrator must hear of it
            _log.exception("%s: the call for %s failed unexpectedly", self.service, command.command_id)
            message = "the call failed unexpectedly; the log of the role http-participants says more"
            failure = Failure("call_error", message, retryable=True, effect_unknown=True)
            return replies.failed(command, failure)

    @staticmethod
    def _reply(command: StepCommand, outcome: Completed | Elsewhere | Failed) -> ReplyMessage | NoReply:
        match outcome:
            case Completed(output=output):
                try:
                    return replies.completed(command, output)
                except (
                    replies.UnusableOutput
                ) as error:  # as we write it, it is a little longer than as it came
                    return replies.failed(command, unusable(f"the answer can't be kept: {error}"))
            case Elsewhere():
                return NoReply.ELSEWHERE
            case Failed(failure=failure):
                return replies.failed(command, failure)

    def let_go(self) -> None:
        """Send nothing more: what waits goes back to the queue, what is under way is still answered."""
        self._waiting.close()

    async def finish(self, *, within_s: float) -> None:
        """Wait for the calls that are under way, and break off those that take longer: they are made again."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=within_s)
        for task in self._under_way:
            task.cancel()

    def report(self) -> ServiceReport:
        """Say how the service looks from here."""
        now = asyncio.get_running_loop().time()
        states = self._balance.states(now)
        return ServiceReport(
            service=self.service,
            breaker=self._balance.breaker(now),
            waiting=len(self._waiting),
            addresses=tuple(
                self._report_on(address, line, str(state), now)
                for address, line, state in zip(self._addresses, self._balance.lines, states, strict=True)
            ),
        )

    def _report_on(self, address: Address, line: Line, state: str, now: float) -> AddressReport:
        returns_in_s = max(line.returns_at if line.is_out else 0.0, line.rests_until) - now
        durations_s = sorted(lasted_s for is_well, lasted_s in line.lasted if is_well)
        return AddressReport(
            url=address.shown,
            state=state,
            returns_in_s=round(returns_in_s, 3) if returns_in_s > 0 else None,
            outstanding=len(line.outstanding),
            limit=line.limit,
            calls=len(line.lasted),
            succeeded=sum(is_well for is_well, _ in line.lasted),
            median_s=_quantile(durations_s, 0.5),
            p95_s=_quantile(durations_s, 0.95),
        )

    async def _once(
        self, command: StepCommand, body: bytes, carriage: Carriage
    ) -> Completed | Elsewhere | Failed:
        """Carry out a command, or wait for its end where it is in hand already.

        A broker that lost our connection delivers again what is still being called: two calls at once with the
        same key are what services take worst.
        """
        running = self._in_hand.get(command.command_id)
        if running is not None:
            return await asyncio.shield(running)
        running = asyncio.create_task(self._carry_out(command, body, carriage))
        self._in_hand[command.command_id] = running
        try:
            return await running
        finally:
            del self._in_hand[command.command_id]

    async def _carry_out(
        self, command: StepCommand, body: bytes, carriage: Carriage
    ) -> Completed | Elsewhere | Failed:
        times = self._times(command)
        wish = Wish(is_first=command.attempt == 1)
        refusal: Failed | None = None
        while True:
            call = await self._waiting.place(wish, until=times.wait_until)
            if call is None:
                return self._not_sent(refusal, carriage)
            outcome = await self._call(call, command, body, carriage, times)
            if not isinstance(outcome, Failed) or not outcome.is_refusal:
                return outcome
            refusal = _sooner(refusal, outcome)
            wish = replace(wish, refused_by=wish.refused_by | {call.index})

    def _times(self, command: StepCommand) -> _Times:
        now = asyncio.get_running_loop().time()
        left_s = _NO_DEADLINE_S
        if command.deadline is not None:
            try:
                left_s = command.deadline.timestamp() - self._clock.now() / 1000
            except NotReady:
                left_s = _NO_DEADLINE_S  # nobody knows the time: the orchestrator minds its own
        wait_s = min(max(left_s - _ANSWER_BEFORE_S, 0.0), _WAIT_MAX_S)
        return _Times(now + wait_s, now + min(max(left_s, _CALL_MIN_S), _CALL_MAX_S))

    async def _call(
        self, call: Call, command: StepCommand, body: bytes, carriage: Carriage, times: _Times
    ) -> Completed | Elsewhere | Failed:
        # A task of its own, so that the end of the grace breaks off the call, and with it the command.
        task = asyncio.create_task(self._ask(call, command, body, carriage, times))
        self._under_way.add(task)
        try:
            verdict = await task
        finally:
            task.cancel()
            self._balance.abandon(call)  # where it was broken off; one that has ended is ended already
            self._under_way.discard(task)
            self._waiting.move()
        return verdict.outcome

    async def _ask(
        self, call: Call, command: StepCommand, body: bytes, carriage: Carriage, times: _Times
    ) -> Verdict:
        address = self._addresses[call.index]
        loop = asyncio.get_running_loop()
        left_s = max(times.call_until - loop.time(), _CALL_MIN_S)
        deadline_s = min(left_s, self._limits.seconds_max or left_s)
        try:
            answer = await self._calls.post(
                address.url_of(command.action),
                self._headers(address, command, carriage),
                body,
                deadline_s=deadline_s,
            )
        except NoAnswer as silence:
            verdict = judge_silence(silence, kind=command.kind, now=self._now())
        else:
            verdict = judge(answer, kind=command.kind, now=self._now())
        self._end(call, verdict, loop.time())
        return verdict

    def _headers(self, address: Address, command: StepCommand, carriage: Carriage) -> Mapping[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, application/problem+json",
            "Idempotency-Key": command.idempotency_key,
            "User-Agent": self._user_agent,
        }
        if carriage.traceparent is not None and _TRACEPARENT.fullmatch(carriage.traceparent):
            headers["traceparent"] = carriage.traceparent
        if address.authorization is not None:
            headers["Authorization"] = address.authorization
        return headers

    def _end(self, call: Call, verdict: Verdict, now: float) -> None:
        is_ejected = self._balance.end(call, verdict.health, now, rest_s=verdict.rest_s)
        address = str(call.index + 1)
        self._observer.counted("http_call", service=self.service, address=address, outcome=_word(verdict))
        if is_ejected:
            self._observer.counted("http_ejection", service=self.service, address=address)
            shown = self._addresses[call.index].shown
            _log.warning("%s: %s is ejected for a while: it failed or did not answer", self.service, shown)
        breaker = self._balance.breaker(now)
        if breaker is not Breaker.CLOSED and self._breaker is Breaker.CLOSED:
            self._observer.counted("http_breaker_opened", service=self.service)
        self._breaker = breaker

    def _not_sent(self, refusal: Failed | None, carriage: Carriage) -> Failed:
        """Say that no address took the command; an earlier delivery of it may have been sent all the same."""
        returns_in_s = self._balance.returns_in_s(asyncio.get_running_loop().time())
        if refusal is None:
            busy = "every address is busy" if returns_in_s is None else "every address is ejected or rests"
            failure = Failure(UNAVAILABLE, f"not sent: {busy}", retryable=True, retry_after=returns_in_s)
        else:
            failure = refusal.failure
        return Failed(replace(failure, effect_unknown=carriage.may_have_come_before))

    def _now(self) -> dt.datetime:
        try:
            return dt.datetime.fromtimestamp(self._clock.now() / 1000, dt.UTC)
        except NotReady:
            return dt.datetime.now(dt.UTC)


def _sooner(before: Failed | None, refusal: Failed) -> Failed:
    """Keep the refusal that asks for the shorter pause."""
    if before is None:
        return refusal
    return min(before, refusal, key=lambda failed: failed.failure.retry_after or 0.0)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[int(share * (len(ordered) - 1))], 4) if ordered else None


def _word(verdict: Verdict) -> str:
    match verdict.outcome:
        case Completed():
            return "completed"
        case Elsewhere():
            return "elsewhere"
        case Failed(failure=failure, is_refusal=is_refusal):
            if is_refusal:
                return "refused"
            return "unknown" if failure.effect_unknown else "failed"
