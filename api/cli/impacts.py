"""Say what a version of a definition would mean for stored processes: how many, which, and from where on."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.backends import StorePorts
from api.cli.defining import loaded
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, progress, say, stdout, streamed
from api.cli.store import with_histories, with_store
from api.cli.tables import plain
from saga.definition.catalog import Catalog, KnownDefinition, known_definition, stored_definition
from saga.errors import UnknownDefinition
from saga.messages.json_text import JsonObject
from saga.process.status import ProcessStatus
from saga.replay.changes import Change
from saga.replay.history import Histories, StoredHistories
from saga.replay.impact import Effect, Impact, Impacts

EXAMPLES_MAX = 5
_WORDS = {
    Effect.UNAFFECTED: "unaffected",
    Effect.DIFFERS: "differs so far",
    Effect.CANNOT_GO_ON: "can't go on",
    Effect.UNREADABLE: "unreadable",
}
_AHEAD = "takes another way"


def impact(
    output: Output, source: str, process_type: str | None, *, statuses: Sequence[str], file: Path | None
) -> Exit:
    """Judge all processes of the type of a version, in the store or in an exported file."""
    version = version_in(source, process_type)
    unknown = sorted(set(statuses) - {str(one) for one in ProcessStatus})
    if unknown:
        raise CommandError(Exit.USAGE, f"--status takes {', '.join(ProcessStatus)}, not {unknown[0]}")

    async def judge(histories: Histories, children: Mapping[str, str]) -> Exit:
        tally = Tally()
        judged = Impacts(histories, version, children)
        with streamed(output, _not_yet) as put, progress("judged", None) as advance:
            async for history in histories.every():
                found = await judged.judge(history)
                advance()
                if found is None or (statuses and found.status not in statuses):
                    continue
                tally.count(found)
                put(found.document())
        if output is Output.TABLE:
            stdout().print(tally.view())
        say(tally.sentence())
        return tally.exit()

    async def of_store(store: StorePorts) -> Exit:
        catalog = Catalog(store.definitions)
        await catalog.refresh()
        try:
            children = catalog.pins(version)
        except UnknownDefinition as error:
            raise CommandError(Exit.ERROR, str(error)) from None
        return await judge(StoredHistories(store.log, catalog), children)

    if file is None:
        return with_store(of_store)
    return with_histories(file, lambda histories: judge(histories, {}))


def version_in(source: str, process_type: str | None) -> KnownDefinition:
    """Load the one version that a source holds, or the one of a type. Raises CommandError."""
    found = loaded(source, process_type)
    if len(found) > 1:
        names = ", ".join(one.process_type for one in found)
        raise CommandError(Exit.USAGE, f"{source} holds several: choose with --type one of {names}")
    return known_definition(stored_definition(found[0], at=0))


class Tally:
    """Count what a version means, and keep a few examples of each kind."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._examples: dict[tuple[str, bool], list[Impact]] = {}

    def count(self, found: Impact) -> None:
        """Count one process."""
        for kind in _kinds(found):
            key = kind, found.is_running
            self._counts[key] += 1
            examples = self._examples.setdefault(key, [])
            if len(examples) < EXAMPLES_MAX:
                examples.append(found)

    def exit(self) -> Exit:
        """Give the exit code: some that run can't go on, or can't be read."""
        stuck = (_WORDS[Effect.CANNOT_GO_ON], True), (_WORDS[Effect.UNREADABLE], False)
        return Exit.ERROR if any(self._counts[key] for key in stuck) else Exit.WELL

    def sentence(self) -> str:
        """Sum it up in one line."""
        return "; ".join(
            f"{'running' if is_running else 'ended'}: "
            + ", ".join(f"{self._counts[word, is_running]} {word}" for word in (*_WORDS.values(), _AHEAD))
            for is_running in (True, False)
        )

    def view(self) -> RenderableType:
        """Show the counts, then examples of all that is not unaffected."""
        counts = _table("", "running", "ended")
        for word in (*_WORDS.values(), _AHEAD):
            counts.add_row(word, *(str(self._counts[word, is_running]) for is_running in (True, False)))
        examples = _table("", "process", "status", "event", "from step", "what")
        for (word, _), found in sorted(self._examples.items()):
            if word != _WORDS[Effect.UNAFFECTED]:
                for one in found:
                    examples.add_row(word, plain(one.process_id), plain(one.status), *_told(word, one))
        return Group(counts, Text(""), examples) if examples.row_count else counts


def _not_yet(_: JsonObject) -> tuple[str, ...]:
    """Print nothing of one process for people: they are shown the whole, at the end."""
    return ()


def _kinds(found: Impact) -> Iterator[str]:
    yield _WORDS[found.effect]
    if found.ahead:
        yield _AHEAD


def _told(word: str, found: Impact) -> tuple[str, str, str]:
    """Tell of one example: the event, the step, and the words."""
    difference = found.difference
    if word == _AHEAD:
        return "", plain(found.ahead[0].step), "; ".join(map(_change, found.ahead[:EXAMPLES_MAX]))
    if found.problem is not None:
        return "", "", plain(found.problem)
    if found.misfits:
        return "", plain(found.misfits[0].step), "; ".join(plain(str(one)) for one in found.misfits)
    if difference is None:
        return "", "", ""
    now = difference.refusal or _events(difference.now)
    return str(difference.sequence), plain(found.step), f"then {_events(difference.then)}; now {plain(now)}"


def _change(change: Change) -> str:
    words = f" ({', '.join(change.words)})" if change.words else ""
    return f"{plain(change.step or 'the process')} {change.kind}{words}"


def _events(events: Sequence[JsonObject]) -> str:
    words = (" ".join(plain(one[name]) for name in ("type", "step") if one.get(name)) for one in events)
    return ", ".join(words) or "nothing"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
