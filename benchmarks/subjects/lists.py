"""How long a page of processes takes where very many are stored, filter by filter, and how long the counts."""

import datetime as dt
import statistics
import time
from collections.abc import Mapping
from functools import partial

import httpx

from benchmarks.figures import BenchmarkError, Better, Figure, Outcome
from benchmarks.place import BATUTA, Place, Size
from benchmarks.plans import DOCUMENT_ANALYSIS
from benchmarks.subjects.failing import failures
from benchmarks.subjects.throughput import successes

_TIMES = 20
_STORE_WITHIN_S = 1_800
_TARGET_MS = 50


def run(place: Place, size: Size) -> Outcome:
    """Measure it."""
    server = place.serve()
    participants = place.worker("participants", BATUTA)
    for load in (successes(20, 10), failures(5, 5)):
        place.load(BATUTA, load)
    place.stop(participants)
    place.say(f"storing {size.stored:,} processes")
    stored = place.run("store_processes", {"count": size.stored}, BATUTA, within_s=_STORE_WITHIN_S)
    address = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        paths, unmeasured = _answered(client, _paths(client))
        sides = {name: partial(_median_ms, client, path) for name, path in paths.items()}
        measured = place.rounds(size.rounds, sides)
    figures = [
        Figure(name, "ms", tuple(rounds), better=Better.LESS, target=_TARGET_MS)
        for name, rounds in measured.items()
    ]
    return Outcome(figures, notes=[f"{stored['stored']:,} processes were stored"], unmeasured=unmeasured)


def _answered(client: httpx.Client, paths: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Ask everything once, and tell apart what is answered and what is not."""
    answered: dict[str, str] = {}
    refused = []
    for name, path in paths.items():
        try:
            _ask(client, path)
            answered[name] = path
        except BenchmarkError as error:
            refused.append(f"{name}: {error}")
    return answered, refused


def _paths(client: httpx.Client) -> Mapping[str, str]:
    """Give every way to ask, by its name."""
    now = dt.datetime.now(dt.UTC)
    week, hour = (
        (now - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for ago in (dt.timedelta(days=7), dt.timedelta(hours=1))
    )
    filters = {
        "all": "",
        "status, most": "status=completed",
        "status, few": "status=suspended",
        "two statuses": "status=started,compensated",
        "process_type": "process_type=type_07",
        "label, few": "label=customer:77",
        "label, many": "label=region:north",
        "two labels": "label=customer:77&label=region:north",
        "attention": "attention=true",
        "started_after": f"started_after={hour}",
        "started_before": f"started_before={week}",
        "started between": f"started_after={week}&started_before={hour}",
        "process_type and status": "process_type=type_07&status=failed",
        "process_type, status and label": "process_type=type_07&status=completed&label=region:north",
        "attention and process_type": "attention=true&process_type=type_07",
        "nothing matches": f"process_type={DOCUMENT_ANALYSIS}&status=suspended",
    }
    paths = {f"GET /process, {name}": f"/process?{query}" for name, query in filters.items()}
    following = client.get("/process?started_before=" + week)
    link = following.links.get("next")
    if link is not None:  # a few stored processes make one page
        paths["GET /process, the next page"] = link["url"]
    paths["GET /process/counts"] = "/process/counts"
    return paths


def _median_ms(client: httpx.Client, path: str) -> float:
    return statistics.median(_ask(client, path) for _ in range(_TIMES))


def _ask(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    answer = client.get(path)
    took = time.perf_counter() - began
    if answer.status_code != httpx.codes.OK:
        raise BenchmarkError(f"{path} answered {answer.status_code}: {answer.text}")
    return took * 1_000
