"""`saga definition explore`: load what is explored, run it, and print what became of it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from api.cli import arguments
from api.cli.defining import loaded
from api.cli.definition_tables import exploration_view, fault_rows
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show, show_all
from saga.definition.model import SagaDefinition
from saga.definition.parameters import ParameterSchema
from saga.messages import strict_json
from saga.messages.json_text import Json, JsonObject
from saga.process.status import OperatorAction
from saga.testing.explore_faults import End, FaultTable, Row, explore_faults
from saga.testing.explore_parameters import NoExample, example_parameters
from saga.testing.explorer import Exploration, explore


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is explored: a definition, what its processes start with, and what its steps answer."""

    definition: SagaDefinition
    parameters: JsonObject
    outputs: Mapping[str, Json]


def load(source: str, process_type: str | None, *, parameters: str | None, outputs: str | None) -> Chosen:
    """Load one definition with its parameters; each failure ends the command with its own exit code."""
    definitions = loaded(source, process_type)
    if len(definitions) > 1:
        names = ", ".join(one.process_type for one in definitions)
        raise CommandError(Exit.USAGE, f"{source} has several process types: name one with --type: {names}")
    definition = definitions[0]
    given = {} if outputs is None else arguments.parameters(outputs, ())
    unknown = sorted(given.keys() - {step.name for step in definition.steps})
    if unknown:
        raise CommandError(Exit.USAGE, f"--outputs names no step of this saga: {', '.join(unknown)}")
    return Chosen(definition, _parameters(definition, parameters), given)


def _parameters(definition: SagaDefinition, text: str | None) -> JsonObject:
    if text is None:
        try:
            return example_parameters(definition.parameters)
        except NoExample as error:
            raise CommandError(Exit.USAGE, f"{error}\n  give --parameters") from None
    given = _document(text)
    problems = ParameterSchema(definition.parameters).problems_with(given)
    if problems:
        lines = "".join(f"\n  {pointer or '/'}: {sentence}" for pointer, sentence in problems)
        raise CommandError(Exit.USAGE, f"these are no parameters of {definition.process_type}:{lines}")
    return given


def _document(text: str) -> JsonObject:
    """Read what is written out, or a file."""
    if not text.lstrip().startswith(("{", "[")):
        return arguments.parameters(text, ())
    try:
        document = strict_json.decode(text.encode())
    except (strict_json.MalformedJson, strict_json.UnstorableJson, UnicodeEncodeError) as error:
        raise CommandError(Exit.USAGE, f"--parameters: {error}") from None
    if not isinstance(document, dict):
        raise CommandError(Exit.USAGE, "--parameters: the parameters must be an object")
    return document


def with_faults(
    output: Output, chosen: Chosen, *, faults: int, combinations_max: int, is_strict: bool
) -> Exit:
    """Run each combination of faults, and print what became of it."""
    if combinations_max < 1:
        raise CommandError(Exit.USAGE, "--combinations-max must be at least 1")
    with _progress("combinations") as tell:
        table = explore_faults(
            chosen.definition,
            chosen.parameters,
            faults=faults,
            outputs=chosen.outputs,
            combinations_max=combinations_max,
            on_progress=tell,
        )
    summary = _fault_summary(table)
    for note in table.notes:
        say(note)
    rows = [_row(row) for row in table.rows]
    if output is Output.JSONL:
        show_all(rows, output, lambda _: "")
        say(summary)
    else:
        document: JsonObject = {
            "process_type": chosen.definition.process_type,
            "parameters": chosen.parameters,
            "rows": list[Json](rows),
            "notes": list[Json](table.notes),
            "not_met": table.not_met,
            "left_out": table.left_out,
            "summary": summary,
        }
        show(document, output, fault_rows)
    if not table.is_sound:
        raise CommandError(
            Exit.ERROR, "a rule is broken, or a process is stranded: this is a defect of Batuta"
        )
    if is_strict and table.count(End.NEEDS_A_PERSON):
        raise CommandError(Exit.ERROR, f"{table.count(End.NEEDS_A_PERSON)} combinations need a person")
    return Exit.WELL


def _row(row: Row) -> JsonObject:
    return {
        "faults": [str(fault) for fault in row.faults],
        "end": str(row.end),
        "reason": row.reason,
        "waits": list[Json](row.waits),
        "allowed": list[Json](row.allowed),
        "undone": list[Json](row.undone),
        "attention": row.attention,
        "broken": row.broken,
    }


def _fault_summary(table: FaultTable) -> str:
    counts = [f"{table.count(end)} {end}" for end in End if table.count(end) or end is not End.STRANDED]
    summary = f"{len(table.rows)} runs: {', '.join(counts)}"
    if table.not_met:
        summary += f"; {table.not_met} more in which a fault had no occasion"
    if table.left_out:
        first = " + ".join(str(fault) for fault in table.first_left_out)
        summary += f"; bounded: {table.left_out} combinations left out, from {first!r} on"
    return summary


def exhaustively(output: Output, chosen: Chosen, *, states_max: int, is_strict: bool) -> Exit:
    """Reach every state, and print what was found."""
    if states_max < 1:
        raise CommandError(Exit.USAGE, "--states-max must be at least 1")
    with _progress("states") as tell:
        found = explore(
            chosen.definition,
            chosen.parameters,
            outputs=chosen.outputs,
            requests=(OperatorAction.CANCEL,),
            states_max=states_max,
            on_progress=lambda number: tell(number, states_max),
        )
    document: JsonObject = {
        "process_type": chosen.definition.process_type,
        "parameters": chosen.parameters,
        "states": found.states,
        "transitions": found.transitions,
        "depth": found.depth,
        "rests": {str(status): count for status, count in found.rests.items()},
        "is_complete": found.is_complete,
        "bounded_by": found.bounded_by,
        "violations": [
            {"rule": one.rule, "detail": one.detail, "path": list[Json](one.path)} for one in found.violations
        ],
        "summary": _search_summary(found),
    }
    show(document, output, exploration_view)
    if found.violations:
        raise CommandError(Exit.ERROR, "a rule is broken: this is a defect of Batuta")
    if is_strict and not found.is_complete:
        raise CommandError(Exit.ERROR, f"not complete: bounded by {found.bounded_by}")
    return Exit.WELL


def _search_summary(found: Exploration) -> str:
    rests = ", ".join(f"{count} {status}" for status, count in sorted(found.rests.items()))
    summary = f"{found.states} states, {found.transitions} transitions; at rest: {rests or 'none'}"
    return f"{summary}; {'complete' if found.is_complete else f'not complete: bounded by {found.bounded_by}'}"


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how far it is; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    console = Console(stderr=True)
    with Progress(TextColumn(what), MofNCompleteColumn(), console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
