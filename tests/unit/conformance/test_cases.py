"""Each way to be wrong fails the case that is about it, and no other."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from saga.conformance.bench import Bench, Subject
from saga.conformance.check import CASES, check
from saga.conformance.reading import read_reply, silent
from saga.conformance.wire import Answer, Word
from tests.support.model_participant import ACTION, COMPENSATION, VERIFY, Died, ModelParticipant

if TYPE_CHECKING:
    from saga.messages.json_text import JsonObject

_EVERYTHING = Subject("stock", ACTION, COMPENSATION, VERIFY, is_fencing=True)

# What is done wrong, and the cases that must say so.
FAULTS: dict[str, set[str]] = {
    "does nothing": {"success"},
    "refuses unknown members": {"unknown_members"},
    # Whoever forgets can't tell apart what comes at once either.
    "forgets the key": {"duplicate", "concurrent"},
    "is silent about duplicates": {"duplicate", "concurrent"},
    "refuses duplicates": {"duplicate", "concurrent"},
    "looks before it writes": {"concurrent"},
    "can not undo": {"undo"},
    "undoes only once": {"undo_twice"},
    "does it after its undo": {"do_after_undo"},
    "knows nothing to undo": {"undo_before_do"},
    "does it after its early undo": {"do_after_early_undo"},
    "refuses for now": {"do_after_undo", "do_after_early_undo"},
    "tells another output": {"verify_done"},
    "forgets what it did": {"verify_done"},
    "says unknown": {"verify_never"},
    "does not fence": {"fence"},
    "obeys the deadline": {"expired"},
    "is silent about unknown actions": {"unknown_action"},
    "retries unknown actions": {"unknown_action"},
    "is slow": {"in_time"},
    "dies of garbage": {"garbage"},
    "takes garbage for a command": {"garbage"},
    "leaves the code out": {"shape"},
    "writes numbers as text": {"shape"},
}


@dataclass
class _Direct:
    """Implement `Wire` without one: bytes go to the participant and its reply is read as from the broker."""

    participant: ModelParticipant

    async def ask(self, command: JsonObject, *, within_s: float) -> Answer:
        """Hand over a command."""
        given = await self._hand_over(json.dumps(command).encode())
        return silent(f"nothing within {within_s} s") if given is None else given

    async def throw(self, body: bytes, *, action: str, within_s: float) -> Answer | None:  # noqa: ARG002
        """Hand over garbage."""
        return await self._hand_over(body)

    async def _hand_over(self, body: bytes) -> Answer | None:
        try:
            answer = await self.participant.answer(body)
        except Died:
            return silent("it is gone")
        if answer is None:
            return None
        reply = {name: value for name, value in answer.items() if name not in {"word", "is_late"}}
        is_late = bool(answer.get("is_late"))
        return read_reply(answer["word"], json.dumps(reply).encode(), is_late=is_late)


def _bench(participant: ModelParticipant, subject: Subject = _EVERYTHING) -> Bench:
    return Bench(
        _Direct(participant), subject, run_id="check-1", now=lambda: time.time_ns() // 1_000_000, within_s=1
    )


def _verdicts(document: JsonObject) -> dict[str, str]:
    cases: Any = document["cases"]
    return {case["case"]: case["verdict"] for case in cases}


async def test_a_participant_that_does_all_that_is_asked_passes() -> None:
    """Every case, with a sentence about what was seen, and no advice."""
    document = await check(_bench(ModelParticipant()))

    assert set(_verdicts(document).values()) == {"passed"}
    assert (document["passed"], document["failed"]) == (len(CASES), 0)
    cases: Any = document["cases"]
    assert all(case["found"] and case["why"] and case["advice"] is None for case in cases)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_found_by_its_own_case(fault: str) -> None:
    """What is wrong is named, and what is well is not blamed for it."""
    document = await check(_bench(ModelParticipant(frozenset({fault}))))

    failed = {name for name, verdict in _verdicts(document).items() if verdict == "failed"}
    assert failed == FAULTS[fault]
    cases: Any = document["cases"]
    assert all(bool(case["advice"]) == (case["case"] in failed) for case in cases)


def test_every_case_has_a_participant_that_fails_it() -> None:
    """A case that nothing fails would be no case."""
    assert set().union(*FAULTS.values()) == {case.name for case in CASES}


async def test_what_is_not_named_is_not_tried() -> None:
    """Without an action only what needs none is done, and the rest says what it needs."""
    participant = ModelParticipant()
    document = await check(_bench(participant, Subject("stock")))

    verdicts = _verdicts(document)
    assert {name for name, verdict in verdicts.items() if verdict == "passed"} == {
        "unknown_action", "garbage", "shape",
    }  # fmt: skip
    assert participant.done == 0
    cases: Any = document["cases"]
    assert {case["case"]: case["found"] for case in cases}["fence"] == (
        "needs --action and --verify and --fences"
    )


async def test_a_participant_that_does_not_work_costs_no_more_time() -> None:
    """After a failed success the cases that rest on the action are skipped: each would only wait."""
    document = await check(_bench(ModelParticipant(frozenset({"does nothing"}))))

    verdicts = _verdicts(document)
    assert verdicts.pop("success") == "failed"
    needing_nothing = {case.name for case in CASES if not case.needs}
    assert {name for name, verdict in verdicts.items() if verdict == "passed"} == needing_nothing
    assert {name for name, verdict in verdicts.items() if verdict == "skipped"} == (
        verdicts.keys() - needing_nothing
    )


async def test_what_is_answered_elsewhere_is_not_judged() -> None:
    """After a 202 nobody here can tell what came of it: neither well nor wrong."""

    class Elsewhere(_Direct):
        async def ask(self, command: JsonObject, *, within_s: float) -> Answer:
            answer = await super().ask(command, within_s=within_s)
            return Answer(Word.ELSEWHERE, "HTTP 202") if answer.word is Word.COMPLETED else answer

    bench = Bench(Elsewhere(ModelParticipant()), _EVERYTHING, run_id="check-1", now=lambda: 0, within_s=1)
    document = await check(bench, only=("success", "duplicate", "concurrent", "undo", "undo_before_do"))

    assert set(_verdicts(document).values()) == {"unclear"}
    assert document["failed"] == 0


async def test_only_the_named_cases_run() -> None:
    """In the order of the list, whatever the order of the names."""
    document = await check(_bench(ModelParticipant()), only=("undo", "success"))

    assert list(_verdicts(document)) == ["success", "undo"]
