"""Write the pages that follow from the code, so that they can't say anything else: `python -m docs.generate`.

The events of the log with their data, the problems over HTTP, the moves of a process, the limits. A test
compares what stands in the repository with what this writes.
"""  # noqa: INP001 - a program, not a package

import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from api import problems
from docs.testing_page import testing_page
from saga.conformance.check import CASES
from saga.contract.log_entries import APART, data_schema, event_class, events_schema, sentence
from saga.contract.schemas import SCHEMAS
from saga.process import codec
from saga.process.status import LEGAL_MOVES, ProcessStatus

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"


def generated() -> dict[Path, str]:
    """Give each generated file with its text."""
    return {
        REFERENCE / "events.json": json.dumps(events_schema(), indent=2, sort_keys=True) + "\n",
        REFERENCE / "events.md": _events_page(),
        REFERENCE / "problems.md": _problems_page(),
        REFERENCE / "statuses.md": _statuses_page(),
        REFERENCE / "participant-check.md": _check_page(),
        REFERENCE / "testing.md": testing_page(),
        **{
            REFERENCE / "schemas" / f"{name}.json": json.dumps(schema, indent=2) + "\n"
            for name, schema in SCHEMAS.items()
        },
    }


def _events_page() -> str:
    parts = [_EVENTS_HEAD]
    for name in codec.EVENT_NAMES:
        kind = event_class(name)
        lifted = [field.name for field in fields(kind) if field.name in APART]
        beside = f" Beside it: {' and '.join(f'`{member}`' for member in lifted)}." if lifted else ""
        schema = json.dumps(data_schema(name), indent=2)
        parts.append(f"## {name}\n\n{sentence(kind)}{beside}\n\n```json\n{schema}\n```\n")
    return "\n".join(parts)


def _problems_page() -> str:
    rows = "\n".join(
        f"| `{kind.slug}` | {kind.status} | {kind.title} | {kind.explanation} |"
        for kind in problems.REGISTRY.values()
    )
    return f"{_PROBLEMS_HEAD}\n{rows}\n"


def _statuses_page() -> str:
    return f"{_STATUSES_HEAD}\n```mermaid\nstateDiagram-v2\n{''.join(_moves())}```\n{_STATUSES_TAIL}"


def _check_page() -> str:
    needs = [" ".join(f"`{need}`" for need in case.needs) for case in CASES]
    rows = "\n".join(
        f"| `{case.name}` | {case.title} | {needed} | {case.why} | {case.advice} |"
        for case, needed in zip(CASES, needs, strict=True)
    )
    return f"{_CHECK_HEAD}\n{rows}\n"


def _moves() -> Iterator[str]:
    yield f"    [*] --> {ProcessStatus.STARTED}\n"
    for status, following in LEGAL_MOVES.items():
        for after in ProcessStatus:
            if after in following:
                yield f"    {status} --> {after}\n"
    for status in ProcessStatus:
        if status.is_ended:
            yield f"    {status} --> [*]\n"


_NOTE = "<!-- Written by `python -m docs.generate` from the code; don't edit it by hand. -->"

_EVENTS_HEAD = f"""# Events of the log

{_NOTE}

Each entry of a process's log, as `GET /process/{{id}}/events` gives it, has the members `sequence` (1, 2, 3 … without
a gap), `type`, `at`, `step`, `attempt`, `actor` and `data`. `step` and `attempt` are null where an event has none.
`actor` is who asked for the process (of `accepted`) or for an action (of `operator_…`), else the server that wrote it. What `data` holds depends on
the type, and stands below as JSON Schema; [events.json](events.json) has the schema of whole entries.

In the store the same events are written flat, with payloads as JSON text and times as milliseconds since 1970 UTC. The
format only grows: a new member has a default, and a new event has a new name. A reader that meets a name or a member
that it doesn't know must not guess.
"""  # noqa: E501 - prose, as wide as the other pages

_PROBLEMS_HEAD = f"""# Problems over HTTP

{_NOTE}

Every refusal is a document of RFC 9457 with the media type `application/problem+json`: `type`, `title`, `status`,
`detail`, and often `errors` with JSON pointers. `type` is `/problems/<name>`, which the service serves as a page. No
value that was sent is repeated, and no internal name is shown. `503` and `429` have `Retry-After`.

| name | status | title | what it means |
|---|---|---|---|"""  # noqa: E501 - likewise

_CHECK_HEAD = f"""# Cases of the participants' check

{_NOTE}

What `saga participant check` tries, in this order, and what each case needs on the command line.
[How to use it](../how-to/check-a-participant.md).

| case | what is tried | needs | why it matters | what to do where it fails |
|---|---|---|---|---|"""

_STATUSES_HEAD = f"""# Statuses

{_NOTE}

The moves of a process, drawn from the table that the machine itself obeys: an event that would make any other move
makes the log unreadable. `failed` is for a process that an operator gave up.
"""  # noqa: E501 - likewise

_STATUSES_TAIL = """
| of a process | meaning |
|---|---|
| `started` | accepted, and going forward |
| `compensating` | turned back: what is in flight is awaited, then everything that may have happened is undone |
| `suspended` | it can't go on by itself; `reason` and `waiting_for` say why |
| `paused` | somebody stopped it: nothing is sent until it is resumed |
| `completed` | every step completed or was skipped |
| `compensated` | everything that may have happened is undone; a late success may still reopen it |
| `failed` | given up by an operator |

| of a step | meaning |
|---|---|
| `pending` | not started |
| `running` | a command is out and may still be answered; or its participant is asked what became of it |
| `waiting` | somebody must give the signal |
| `retrying` | an attempt failed or timed out, and the next one is due |
| `completed` | an attempt was answered by success |
| `failed` | every attempt was answered by a failure that says that nothing happened |
| `unknown` | it is over, and an attempt that was never answered may have had an effect |
| `skipped` | it need not be done: by its condition, its join, or a person's word |

| of an undo | meaning |
|---|---|
| `pending`, `running`, `retrying` | as of a step |
| `compensated` | acknowledged |
| `failed` | its attempts are spent: the process is suspended |
| `skipped` | it need not be undone, by a person's word |
"""


def main() -> None:
    """Write the files."""
    for file, text in generated().items():
        file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
