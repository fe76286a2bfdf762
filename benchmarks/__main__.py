"""`make bench`: measure Batuta on a real RabbitMQ and a real mongod, beside baselines in the same run.

`python -m benchmarks` measures all subjects, or those that are named. Exits with 1 where something could not be
measured, or a ratio is worse than its recorded floor.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.charts import draw
from benchmarks.figures import BenchmarkError, Outcome
from benchmarks.floors import below_floor, floors_from, load_floors, save_floors
from benchmarks.place import Place, Size, end_in_good_order
from benchmarks.report import Report, show
from benchmarks.results import CHARTS, QUICK, RESULTS, merge
from benchmarks.subjects import SUBJECTS


def main(arguments: Sequence[str]) -> int:
    """Measure, show, write the results and compare them with the floors."""
    signal.signal(signal.SIGTERM, end_in_good_order)
    options = _options(arguments)
    size = Size(
        is_quick=options.quick,
        rounds=1 if options.quick else options.rounds,
        timers=options.timers or (1_000 if options.quick else 100_000),
        backlog=options.backlog or (2_000 if options.quick else 200_000),
        stored=options.stored or (10_000 if options.quick else 1_000_000),
    )
    results, charts = (QUICK / "results.json", QUICK / "charts") if size.is_quick else (RESULTS, CHARTS)
    report = Report(len(options.subjects))
    try:
        with report.shown():
            outcomes, failures = _measure(options.subjects, size, report, results)
    except KeyboardInterrupt:
        report.warn("interrupted: all that was started has been ended")
        return 128 + signal.SIGINT
    show(outcomes)
    if outcomes:
        draw(results, charts)
    figures = [figure for outcome in outcomes.values() for figure in outcome.figures]
    if options.record_floors:
        save_floors(load_floors() | floors_from(figures))
    lost = [] if size.is_quick else below_floor(figures, load_floors())
    for sentence in (*failures, *lost):
        report.warn(sentence)
    return 1 if failures or lost else 0


def _measure(
    names: Sequence[str], size: Size, report: Report, results: Path
) -> tuple[dict[str, Outcome], list[str]]:
    """Measure one subject after the other, and write each at once; a failure costs no other subject."""
    outcomes: dict[str, Outcome] = {}
    failures: list[str] = []
    for name in names:
        began = time.monotonic()
        with report.subject(name):
            try:
                with Place(report.say) as place:
                    outcomes[name] = SUBJECTS[name].run(place, size)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other subjects can be measured
                kind = "" if isinstance(error, BenchmarkError) else f"{type(error).__name__}: "
                failed = [f"{name} could not be measured: {kind}{error}"]
            else:
                failed = [f"{name}: {reason}" for reason in outcomes[name].unmeasured]
                merge(results, name, outcomes[name], seconds=time.monotonic() - began)
        failures += failed
        for sentence in failed:
            report.warn(sentence)
    return outcomes, failures


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    about = "\n".join(f"  {name:12} {subject.about}" for name, subject in SUBJECTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Batuta beside baselines, on a real RabbitMQ and a real mongod.",
        epilog=f"subjects:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "subjects", nargs="*", metavar="subject", help="what to measure; all where none is named"
    )
    parser.add_argument(
        "--quick", action="store_true", help="so little that the figures mean nothing: does it run?"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each side (3)")
    parser.add_argument("--timers", type=int, help="how many processes wait on timers (100,000)")
    parser.add_argument("--backlog", type=int, help="how many messages wait for the coordinator (200,000)")
    parser.add_argument("--stored", type=int, help="how many processes are listed (1,000,000)")
    parser.add_argument(
        "--record-floors", action="store_true", help="make this run's ratios, less a fifth, the floors"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.subjects if name not in SUBJECTS]
    if unknown:
        parser.error(f"there is no subject {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    if options.record_floors and options.quick:
        parser.error("a quick run is no floor")
    options.subjects = list(dict.fromkeys(options.subjects)) or list(SUBJECTS)
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
