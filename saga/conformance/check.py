"""Run the cases one after the other, and write what was found as a document."""

from collections.abc import Callable, Collection

from saga.conformance import cases
from saga.conformance.bench import Bench, Subject
from saga.conformance.cases import Case, Finding, Need, Verdict
from saga.messages.json_text import Json, JsonObject

_A, _C, _V, _F = Need.ACTION, Need.COMPENSATION, Need.VERIFY, Need.FENCES

CASES: tuple[Case, ...] = (
    Case(
        "success",
        "the action is done",
        "Everything else rests on it.",
        "Give parameters that the action accepts (-p or --parameters), and answer completed over the reply_key, "
        "or 2xx with JSON over HTTP.",
        (_A,),
        cases.success,
    ),
    Case(
        "unknown_members",
        "a member that is not known yet is ignored",
        "Commands only grow: a participant that refuses what it does not know stops at the next upgrade.",
        "Ignore members of the command that you don't read.",
        (_A,),
        cases.unknown_members,
    ),
    Case(
        "duplicate",
        "the same command twice, and another attempt",
        "Brokers deliver again, and a lost answer is asked for again: what is not remembered is done twice.",
        "Write the idempotency_key with the answer in the transaction of the effect; a key that is there gets "
        "its old answer.",
        (_A,),
        cases.duplicate,
    ),
    Case(
        "concurrent",
        "four copies at once",
        "Two copies may be in hand at the same moment: looking first and writing later lets both pass.",
        "Let a unique key in your database decide which one is first; answer the others by its output, or as "
        "retryable (HTTP 425 or 503).",
        (_A,),
        cases.concurrent,
    ),
    Case(
        "undo",
        "what was done is undone",
        "Turning back is half of a saga: an undo that fails suspends the process until a person looks.",
        "Answer the compensation by completed; find what to undo by compensates.idempotency_key.",
        (_A, _C),
        cases.undo,
    ),
    Case(
        "undo_twice",
        "the same undo twice, and another attempt",
        "Undos are delivered again as well.",
        "An effect that is undone already is acknowledged, and nothing is done.",
        (_A, _C),
        cases.undo_twice,
    ),
    Case(
        "do_after_undo",
        "the action after its undo",
        "A delayed copy of the action arrives after the undo: nobody would ever undo it again.",
        'Remember the key as undone, and refuse the action: failed with "retryable": false, or HTTP 4xx.',
        (_A, _C),
        cases.do_after_undo,
    ),
    Case(
        "undo_before_do",
        "the undo of what never came",
        "An action may be lost or overtaken; its undo must not fail, or the process is stuck.",
        'Remember the key as undone, and answer completed with {"nothing_to_undo": true}.',
        (_C,),
        cases.undo_before_do,
    ),
    Case(
        "do_after_early_undo",
        "the action that its undo overtook",
        "Whoever was undone before it was done must not be done any more.",
        "The early undo writes the key as undone; the action that finds it there is refused for good.",
        (_A, _C),
        cases.do_after_early_undo,
    ),
    Case(
        "verify_done",
        "a question about what was done",
        "A lost answer is found again, and healthy work is not undone.",
        "Answer completed with the output that stands beside verifies.idempotency_key.",
        (_A, _V),
        cases.verify_done,
    ),
    Case(
        "verify_never",
        "a question about what never came",
        "Only not_found lets the orchestrator try again at once.",
        "Answer failed with the code not_found, over HTTP 404 or 410.",
        (_V,),
        cases.verify_never,
    ),
    Case(
        "fence",
        "the attempt that was said never to come",
        "Whoever says not_found promises that this attempt stays without effect, or it happens unnoticed.",
        "Remember the attempt that was asked about; refuse it and earlier ones, carry out later ones.",
        (_A, _V, _F),
        cases.fence,
    ),
    Case(
        "expired",
        "a command whose deadline has passed",
        "A late success must be known, so that it can be undone; silence leaves it unknown.",
        "Take the deadline as advice: answer all the same.",
        (_A,),
        cases.expired,
    ),
    Case(
        "unknown_action",
        "an action that does not exist",
        "A misspelt definition ends at once with a clear error, in the place of time-outs and retries.",
        'Answer failed with "retryable": false, or HTTP 404.',
        (),
        cases.unknown_action,
    ),
    Case(
        "in_time",
        "slow answers",
        "Past the deadline the attempt counts as timed out: it is tried again, or the process turns back.",
        "Answer before the deadline, or publish progress within it (HTTP: answer 202 and report later); or give "
        "the step a longer timeout.",
        (_A,),
        cases.in_time,
    ),
    Case(
        "garbage",
        "what is no command at all",
        "One message that nobody can read must not stop those behind it.",
        "Refuse it (reject without requeue, HTTP 4xx) and take the next; bound what you parse.",
        (),
        cases.garbage,
    ),
    Case(
        "shape",
        "the form of the answers",
        "What the orchestrator can't read is a dead letter, and the attempt times out.",
        "Compare with the schemas at /schemas/completed_reply.json and /schemas/failed_reply.json.",
        (),
        cases.shape,
    ),
)


async def check(
    bench: Bench, *, only: Collection[str] = (), told: Callable[[Case], None] | None = None
) -> JsonObject:
    """Run the cases, all or those named in `only`, and give the document. Raises NotReachable."""
    found: list[Json] = []
    counts = dict.fromkeys(Verdict, 0)
    is_dead = False
    for case in CASES:
        if only and case.name not in only:
            continue
        if told is not None:
            told(case)
        finding = _lacks(case, bench.subject) or (_DEAD if is_dead and case.needs else await case.run(bench))
        bench.findings[case.name] = finding.verdict is not Verdict.FAILED
        # A participant that does not even do its work would only cost the time of all other cases.
        is_dead = is_dead or (case.name == "success" and finding.verdict is Verdict.FAILED)
        counts[finding.verdict] += 1
        found.append(_document(case, finding))
    summary: JsonObject = {str(verdict): count for verdict, count in counts.items()}
    return {**summary, "cases": found}


_DEAD = Finding(Verdict.SKIPPED, "the action is not even done: see success")


def _lacks(case: Case, subject: Subject) -> Finding | None:
    given = {
        Need.ACTION: subject.action is not None,
        Need.COMPENSATION: subject.compensation is not None,
        Need.VERIFY: subject.verify is not None,
        Need.FENCES: subject.is_fencing,
    }
    missing = [need for need in case.needs if not given[need]]
    return Finding(Verdict.SKIPPED, f"needs {' and '.join(missing)}") if missing else None


def _document(case: Case, finding: Finding) -> JsonObject:
    is_failed = finding.verdict is Verdict.FAILED
    return {
        "case": case.name,
        "title": case.title,
        "verdict": str(finding.verdict),
        "found": finding.found,
        "why": case.why,
        "advice": case.advice if is_failed else None,
    }
