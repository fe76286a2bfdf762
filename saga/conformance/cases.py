"""The cases: what happens to every participant sooner or later, and what it must answer then."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from saga.conformance.bench import Bench
from saga.conformance.garbage import GARBAGE
from saga.conformance.wire import Answer, Word
from saga.messages.json_text import Json, to_text

_SHOWN_MAX = 200
_HTTP_CODES_OF_NOT_FOUND = ("not_found",)
_AT_ONCE = (1, 1, 2, 2)


class Verdict(StrEnum):
    """Tell what came of a case; only `failed` makes the check fail."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold the verdict with what was seen."""

    verdict: Verdict
    found: str


class Need(StrEnum):
    """Name what a case can't do without."""

    ACTION = "--action"
    COMPENSATION = "--compensation"
    VERIFY = "--verify"
    FENCES = "--fences"


@dataclass(frozen=True, slots=True)
class Case:
    """Describe one case: what is done, why it matters, and what to do where it fails."""

    name: str
    title: str
    why: str
    advice: str
    needs: tuple[Need, ...]
    run: Callable[[Bench], Awaitable[Finding]]


def _passed(found: str) -> Finding:
    return Finding(Verdict.PASSED, found)


def _failed(found: str) -> Finding:
    return Finding(Verdict.FAILED, found)


def _not_to_be_judged(*answers: Answer, what: str) -> Finding | None:
    """Say that a case can't go on, where what it begins with did not work: another case tells of that."""
    for answer in answers:
        if answer.word is Word.ELSEWHERE:
            return Finding(Verdict.UNCLEAR, f"{what}: {answer.said}")
        if answer.word is not Word.COMPLETED:
            return Finding(Verdict.SKIPPED, f"{what} did not complete: {answer.said}")
    return None


def _shown(value: Json) -> str:
    text = to_text(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


async def success(bench: Bench) -> Finding:
    """Do it once."""
    answer = await bench.do(bench.effect())
    if answer.word is Word.ELSEWHERE:
        return Finding(Verdict.UNCLEAR, answer.said)
    return (_passed if answer.word is Word.COMPLETED else _failed)(answer.said)


async def in_time(bench: Bench) -> Finding:
    """Judge the answers so far: each came, or was announced by progress, before its deadline."""
    late = [answer for answer in bench.answers if answer.is_late and answer.word is not Word.SILENT]
    if late:
        return _failed(
            f"{len(late)} of {len(bench.answers)} answers came after the deadline, without progress"
        )
    return _passed(f"{len(bench.answers)} answers within their deadlines")


async def expired(bench: Bench) -> Finding:
    """Order it with a deadline that has passed."""
    answer = await bench.do(bench.effect(), is_expired=True)
    return (_failed if answer.word is Word.SILENT else _passed)(answer.said)


async def unknown_members(bench: Bench) -> Finding:
    """Order it with a member that no version has yet."""
    answer = await bench.do(bench.effect(), member_of_a_later_version={"deep": [1, None]})
    is_well = answer.word in {Word.COMPLETED, Word.ELSEWHERE}
    return (_passed if is_well else _failed)(answer.said)


async def duplicate(bench: Bench) -> Finding:
    """Deliver the same command again, then order another attempt of the same effect."""
    effect = bench.effect()
    first = await bench.do(effect)
    if (unclear := _not_to_be_judged(first, what="the action")) is not None:
        return unclear
    for what, attempt in (("the same command again", 1), ("another attempt", 2)):
        answer = await bench.do(effect, attempt=attempt)
        if answer.word is not Word.COMPLETED:
            return _failed(f"{what}: {answer.said}")
        if answer.output != first.output:
            return _failed(f"{what}: {_shown(answer.output)}, and first it was {_shown(first.output)}")
    return _passed("the same output three times")


async def concurrent(bench: Bench) -> Finding:
    """Deliver two attempts twice each, all at once, then ask once more."""
    effect = bench.effect()
    answers = await asyncio.gather(*(bench.do(effect, attempt=attempt) for attempt in _AT_ONCE))
    for answer in answers:
        if answer.word is Word.ELSEWHERE:
            return Finding(Verdict.UNCLEAR, answer.said)
        if answer.is_final_failure:
            return _failed(f"one of four at once was refused for good: {answer.said}")
    outputs = [answer.output for answer in answers if answer.word is Word.COMPLETED]
    if not outputs:
        return Finding(Verdict.SKIPPED, f"none of four at once completed: {answers[0].said}")
    last = await bench.do(effect, attempt=3)
    if last.word is not Word.COMPLETED:
        return _failed(f"a later attempt: {last.said}")
    for output in outputs:
        if output != last.output:
            return _failed(f"different outputs: {_shown(output)} and {_shown(last.output)}")
    return _passed(f"{len(outputs)} of four at once completed, all with the same output")


async def undo(bench: Bench) -> Finding:
    """Do it, and undo it."""
    effect = bench.effect()
    done = await bench.do(effect)
    if (unclear := _not_to_be_judged(done, what="the action")) is not None:
        return unclear
    undone = await bench.undo(effect, done.output)
    if undone.word is Word.ELSEWHERE:
        return Finding(Verdict.UNCLEAR, undone.said)
    return (_passed if undone.word is Word.COMPLETED else _failed)(undone.said)


async def undo_twice(bench: Bench) -> Finding:
    """Deliver an undo again, then order another attempt of it."""
    effect = bench.effect()
    done = await bench.do(effect)
    first = await bench.undo(effect, done.output)
    if (unclear := _not_to_be_judged(done, first, what="the action or its undo")) is not None:
        return unclear
    for what, attempt in (("the same undo again", 1), ("another attempt of it", 2)):
        answer = await bench.undo(effect, done.output, attempt=attempt)
        if answer.word is not Word.COMPLETED:
            return _failed(f"{what}: {answer.said}")
    return _passed("acknowledged three times")


async def do_after_undo(bench: Bench) -> Finding:
    """Do it, undo it, and order another attempt of the action."""
    effect = bench.effect()
    done = await bench.do(effect)
    undone = await bench.undo(effect, done.output)
    if (unclear := _not_to_be_judged(done, undone, what="the action or its undo")) is not None:
        return unclear
    return _refused(await bench.do(effect, attempt=2))


async def undo_before_do(bench: Bench) -> Finding:
    """Undo what was never done."""
    answer = await bench.undo(bench.effect())
    if answer.word is Word.ELSEWHERE:
        return Finding(Verdict.UNCLEAR, answer.said)
    if answer.word is not Word.COMPLETED:
        return _failed(answer.said)
    says_so = isinstance(answer.output, dict) and answer.output.get("nothing_to_undo") is True
    return _passed(answer.said if says_so else f"{answer.said}; it could say nothing_to_undo")


async def do_after_early_undo(bench: Bench) -> Finding:
    """Undo what was never done, and let the action come after all."""
    effect = bench.effect()
    undone = await bench.undo(effect)
    if (unclear := _not_to_be_judged(undone, what="the undo")) is not None:
        return unclear
    return _refused(await bench.do(effect))


def _refused(answer: Answer) -> Finding:
    match answer.word:
        case Word.ELSEWHERE:
            return Finding(Verdict.UNCLEAR, answer.said)
        case Word.COMPLETED:
            return _failed(f"it was done, or said to be done: {answer.said}")
        case Word.SILENT:
            return _failed(answer.said)
        case Word.FAILED if answer.retryable:
            return _failed(f"refused, but not for good: {answer.said}")
        case Word.FAILED:
            return _passed(f"refused: {answer.said}")


async def verify_done(bench: Bench) -> Finding:
    """Do it, and ask whether it took effect."""
    effect = bench.effect()
    done = await bench.do(effect)
    if (unclear := _not_to_be_judged(done, what="the action")) is not None:
        return unclear
    answer = await bench.question(effect)
    if answer.word is not Word.COMPLETED:
        return _failed(answer.said)
    if answer.output != done.output:
        return _failed(f"it tells of {_shown(answer.output)}, and the action gave {_shown(done.output)}")
    return _passed("it tells what the action gave")


async def verify_never(bench: Bench) -> Finding:
    """Ask about an attempt that never came."""
    answer = await bench.question(bench.effect())
    is_well = answer.word is Word.FAILED and answer.code in _HTTP_CODES_OF_NOT_FOUND
    return (_passed if is_well else _failed)(answer.said)


async def fence(bench: Bench) -> Finding:
    """Let an attempt come after it was said never to take effect; the next one is a real one."""
    effect = bench.effect()
    asked = await bench.question(effect)
    if asked.word is not Word.FAILED or asked.code not in _HTTP_CODES_OF_NOT_FOUND:
        return Finding(Verdict.SKIPPED, f"the question was not answered by not_found: {asked.said}")
    late = await bench.do(effect)
    if late.word is not Word.FAILED:
        return _failed(f"the attempt that was asked about: {late.said}")
    following = await bench.do(effect, attempt=2)
    if following.word is not Word.COMPLETED:
        return _failed(f"the next attempt: {following.said}")
    return _passed("the attempt was refused, the next one was done")


async def unknown_action(bench: Bench) -> Finding:
    """Order an action that no participant has."""
    return _refused(await bench.nonsense())


async def garbage(bench: Bench) -> Finding:
    """Send one piece of garbage after the other, and after each look whether the next command is answered."""
    is_known = bench.findings.get("unknown_action") is False and bench.subject.action is not None
    for what, body in GARBAGE:
        answer = await bench.garbage(body)
        if answer is not None and answer.word in {Word.COMPLETED, Word.ELSEWHERE}:
            return _failed(f"{what} was taken for a command: {answer.said}")
        following = await (bench.do(bench.effect()) if is_known else bench.nonsense())
        if following.word is Word.SILENT:
            return _failed(f"after {what} the next command was not answered: {following.said}")
    return _passed(f"{len(GARBAGE)} kinds of garbage, and each time the next command was answered")


async def shape(bench: Bench) -> Finding:
    """Judge the form of all answers so far by the published schemas."""
    problems = list(dict.fromkeys(problem for answer in bench.answers for problem in answer.problems))
    if problems:
        return _failed("; ".join(problems[:5]))
    notes = list(dict.fromkeys(note for answer in bench.answers for note in answer.notes))
    return _passed("; ".join([f"{len(bench.answers)} answers in the contract's form", *notes[:3]]))
