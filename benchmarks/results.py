"""The results as a file: by subject, each with the machine, the versions and the day it was measured on."""

import datetime as dt
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from benchmarks.figures import Outcome
from benchmarks.running import ROOT
from tests.support.servers import find_mongod, find_rabbitmq

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
CHARTS = HERE / "charts"
# Where a quick run leaves its results: they are not worth keeping.
QUICK = HERE / "out"

Document: TypeAlias = dict[str, object]


def merge(results: Path, subject: str, outcome: Outcome, *, seconds: float) -> None:
    """Replace what is known of a subject; the others keep what was measured before."""
    known: dict[str, Document] = json.loads(results.read_text("utf-8")) if results.exists() else {}
    known[subject] = {
        **_circumstances(),
        "took_s": round(seconds, 1),
        "figures": [figure.document() for figure in outcome.figures],
        "series": [series.document() for series in outcome.series],
        "notes": list(outcome.notes),
        "unmeasured": list(outcome.unmeasured),
    }
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


def _circumstances() -> Document:
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": _said_by(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        },
        "versions": {
            "batuta": version("batuta"),
            "python": platform.python_version(),
            "rabbitmq": find_rabbitmq().parent.name.removeprefix("rabbitmq_server-"),
            "mongod": _said_by([find_mongod(), "--version"]).partition("\n")[0].removeprefix("db version v"),
            "aio-pika": version("aio-pika"),
            "motor": version("motor"),
            "fastapi": version("fastapi"),
            "uvicorn": version("uvicorn"),
        },
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said_by(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
