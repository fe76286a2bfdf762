"""How commands are carried out over HTTP: over scripted services, in virtual time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from saga.calling.caller import CallLimits
from saga.ports.calls import CallAnswer
from saga.ports.participants import CARRIAGE, Carriage, NoReply, ReplyMessage
from tests.unit.calling.scripted import REFUSED, World, hangs, is_down, now_s, run, says

if TYPE_CHECKING:
    from tests.unit.calling.scripted import Answer


def test_a_command_is_posted_as_it_is_and_its_answer_is_the_reply() -> None:
    """The body is the command, key and trace are headers, and the reply goes where the command says."""

    async def test(world: World) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        CARRIAGE.set(Carriage(traceparent=trace))
        assert await world.command() == {
            "key": "step-3.completed",
            "command_id": "p1.pay.a1",
            "output": {"paid": True},
        }
        host, command, headers = world.services.calls[0]
        assert (host, command["command_id"]) == ("a", "p1.pay.a1")
        assert headers["Idempotency-Key"] == "p1.pay.a"
        assert headers["Content-Type"] == "application/json"
        assert headers["User-Agent"] == "batuta/test"
        assert headers["traceparent"] == trace
        assert "Authorization" not in headers
        assert world.heard.counts == {"http_call payment 1 completed": 1}

    run(test, a=says(200, b'{"paid": true}'))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"action": "../admin"}, "invalid_command"),
        ({"action": "charge?x=1"}, "invalid_command"),
        ({"idempotency_key": "a\r\nX: y"}, "invalid_command"),
    ],
)
def test_nothing_of_a_command_gets_into_the_address_or_between_headers(
    more: dict[str, str], code: str
) -> None:
    """A command that somebody wrote by hand is refused before anything is sent."""

    async def test(world: World) -> None:
        error = await world.error(**more)
        assert (error["code"], error["retryable"]) == (code, False)
        assert not world.services.calls

    run(test, a=says(200))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"command_id": ""}', b'{"a":1,"a":2}'])
def test_what_is_no_command_is_unanswerable(body: bytes) -> None:
    """Nobody could tell what a reply would belong to: it becomes a dead letter."""

    async def test(world: World) -> None:
        assert await world.caller.answer(body) is NoReply.UNANSWERABLE

    run(test, a=says(200))


def test_an_output_that_grows_too_long_by_being_written_is_refused() -> None:
    """`1e9` comes back as `1000000000.0`: what was below the limit as it came may be above it as it is kept."""

    async def test(world: World) -> None:
        error = await world.error()
        assert (error["code"], error["retryable"], error["effect_unknown"]) == (
            "unusable_output",
            False,
            True,
        )

    run(test, a=says(200, b"[" + b",".join([b"1e9"] * 200_000) + b"]"))


def test_a_defect_of_ours_is_answered_too() -> None:
    """A handler that raised would keep its command, and its place among those in hand, for ever."""

    async def breaks(_: dict[str, Any]) -> CallAnswer:
        raise ZeroDivisionError

    async def test(world: World) -> None:
        error = await world.error()
        assert (error["code"], error["retryable"], error["effect_unknown"]) == ("call_error", True, True)
        assert world.caller.report().addresses[0].outstanding == 0

    run(test, a=breaks)


def test_an_accepted_command_is_answered_elsewhere() -> None:
    """202 takes the command off the queue and makes no reply."""

    async def test(world: World) -> None:
        assert await world.command() is NoReply.ELSEWHERE

    run(test, a=says(202, b""))


@pytest.mark.parametrize("refusal", [is_down, says(503), says(429), says(425)])
def test_a_command_that_was_refused_goes_at_once_to_another_address(refusal: Answer) -> None:
    """Nothing happened there, so the same attempt may go on."""

    async def test(world: World) -> None:
        reply = await world.command()
        assert isinstance(reply, dict)
        assert reply["output"] == {"by": "b"}
        assert world.services.hosts == ["a", "b"]
        assert now_s() == 0

    run(test, a=refusal, b=says(200, b'{"by": "b"}'))


@pytest.mark.parametrize("trouble", [says(500), says(502), says(504), says(408)])
def test_a_command_whose_outcome_is_unknown_goes_nowhere_else(trouble: Answer) -> None:
    """The first address may have done it: only the next attempt, with the same key, may try again."""

    async def test(world: World) -> None:
        error = await world.error()
        assert (error["retryable"], error["effect_unknown"]) == (True, True)
        assert world.services.hosts == ["a"]

    run(test, a=trouble, b=says(200))


def test_a_command_that_all_refuse_fails_at_once_with_the_shortest_pause() -> None:
    """Each address is asked once."""

    async def test(world: World) -> None:
        error = await world.error()
        assert (error["code"], error["retryable"], error["retry_after"]) == ("unavailable", True, 4)
        assert "effect_unknown" not in error
        assert world.services.hosts == ["a", "b", "c"]
        assert now_s() == 0

    run(test, a=says(503, retry_after="9"), b=says(503, retry_after="4"), c=says(429, retry_after="60"))


def test_a_refusal_of_a_command_that_came_before_proves_nothing() -> None:
    """The process that had it first may have sent it: that nothing happened would be a guess."""

    async def test(world: World) -> None:
        CARRIAGE.set(Carriage(may_have_come_before=True))
        assert (await world.error())["effect_unknown"] is True

    run(test, a=is_down)


def test_a_call_ends_with_the_time_of_its_command() -> None:
    """The deadline in the command bounds the call; a shorter limit of the settings comes first."""

    async def until_the_deadline(world: World) -> None:
        error = await world.error(timeout_s=12)
        assert (error["code"], error["effect_unknown"], now_s()) == ("timeout", True, 12)

    async def until_the_limit(world: World) -> None:
        assert (await world.error(timeout_s=12))["code"] == "timeout"
        assert now_s() == 3

    run(until_the_deadline, a=hangs)
    run(until_the_limit, CallLimits(seconds_max=3), a=hangs)


def test_a_command_past_its_deadline_is_carried_out_all_the_same() -> None:
    """The deadline is advice: a late success counts, and what waited through an outage is healthy work."""

    async def test(world: World) -> None:
        reply = await world.command(timeout_s=-60)
        assert isinstance(reply, dict)
        assert "output" in reply

    run(test, a=says(200, after_s=1))


def test_while_the_breaker_is_open_commands_wait_and_spend_no_attempts() -> None:
    """They go out when the service is back, in the same attempt; until then one of them tries now and then."""

    async def is_back_after_ten_seconds(_: dict[str, Any]) -> CallAnswer:
        if now_s() < 10:
            raise REFUSED
        return CallAnswer(200, {}, b"{}")

    async def test(world: World) -> None:
        for _ in range(3):
            assert (await world.error())["code"] == "unavailable"
        assert world.heard.counts["http_breaker_opened payment"] == 1
        waiting = [asyncio.create_task(world.command()) for _ in range(50)]
        replies = await asyncio.gather(*waiting)
        failed = [reply for reply in replies if isinstance(reply, dict) and "error" in reply]
        assert len(failed) <= 4
        assert now_s() < 20

    run(test, a=is_back_after_ten_seconds)


def test_a_command_that_can_not_be_sent_is_answered_before_its_time_is_over() -> None:
    """Unanswered it would count as one that may have had an effect; so it says that nothing happened."""

    async def test(world: World) -> None:
        for _ in range(3):
            await world.error()
        world.services.by_host["a"] = hangs
        first = asyncio.create_task(world.error())
        await asyncio.sleep(0)  # it is the one that tries whether the service is back
        error = await world.error(timeout_s=10)
        assert (error["code"], error["retryable"]) == ("unavailable", True)
        assert "effect_unknown" not in error
        assert now_s() == pytest.approx(9)
        assert (await first)["code"] == "timeout"

    run(test, a=is_down)


def test_what_waits_is_let_go_and_what_is_under_way_is_finished() -> None:
    """At the end of the role: a waiting command goes back to the queue unsent, a call gets its answer."""

    async def test(world: World) -> None:
        called = asyncio.create_task(world.command())
        waits = asyncio.create_task(world.command())
        await asyncio.sleep(1)
        world.caller.let_go()
        await world.caller.finish(within_s=8)
        with pytest.raises(asyncio.CancelledError):
            await waits
        with pytest.raises(asyncio.CancelledError):
            await world.command()
        reply = await called
        assert isinstance(reply, dict)
        assert "output" in reply
        assert len(world.services.calls) == 1

    run(test, CallLimits(at_once=1), a=says(200, after_s=3))


def test_a_call_that_outlasts_the_grace_is_broken_off_without_a_reply() -> None:
    """Its command stays unacknowledged: it comes again, with the same key."""

    async def test(world: World) -> None:
        called = asyncio.create_task(world.command())
        await asyncio.sleep(1)
        world.caller.let_go()
        await world.caller.finish(within_s=2)
        with pytest.raises(asyncio.CancelledError):
            await called
        assert now_s() == 3
        assert world.caller.report().addresses[0].outstanding == 0

    run(test, a=hangs)


def test_the_report_says_how_each_address_does() -> None:
    """Figures of the last calls, and where each stands."""

    async def test(world: World) -> None:
        await asyncio.gather(*(world.command() for _ in range(4)))
        report = world.caller.report()
        good, down = report.addresses
        assert (report.service, report.breaker, report.waiting) == ("payment", "closed", 0)
        assert (good.url, good.state, good.succeeded, good.median_s) == ("http://good", "well", 4, 0.5)
        assert (down.state, down.calls, down.succeeded, down.median_s) == ("well", 2, 0, None)

    run(test, good=says(200, after_s=0.5), down=is_down)


def test_a_reply_is_written_for_the_bus() -> None:
    """Its id follows from the command, so that a repetition is the same message."""

    async def test(world: World) -> None:
        body = json.dumps({"command_id": "p.pay.a1", "action": "charge", "process_id": "p"}).encode()
        reply = await world.caller.answer(body)
        assert isinstance(reply, ReplyMessage)
        assert (reply.message_id, reply.routing_key) == ("p.pay.a1.completed", "step.completed")

    run(test, a=says(200))


def test_a_command_that_comes_again_while_it_is_called_is_called_once() -> None:
    """The broker repeats what was unacknowledged when it lost us; both deliveries get the one answer."""

    async def test(world: World) -> None:
        first = asyncio.create_task(world.command(number=7))
        await asyncio.sleep(1)
        second = asyncio.create_task(world.command(number=7))
        assert await second == await first
        assert len(world.services.calls) == 1

    run(test, a=says(200, after_s=3))


def test_no_command_is_held_as_long_as_the_broker_waits() -> None:
    """A step may take a day, but a call ends after 25 minutes, and the wait for an address after ten."""

    async def called(world: World) -> None:
        assert (await world.error(timeout_s=86_400))["code"] == "timeout"
        assert now_s() == 1_500

    async def not_sent(world: World) -> None:
        for _ in range(3):
            await world.error()
        world.services.by_host["a"] = hangs
        probe = asyncio.create_task(world.error(timeout_s=86_400))
        await asyncio.sleep(0)
        assert (await world.error(timeout_s=86_400))["code"] == "unavailable"
        assert now_s() == pytest.approx(600)
        await probe

    run(called, a=hangs)
    run(not_sent, a=is_down)
