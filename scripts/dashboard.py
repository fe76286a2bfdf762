"""Write Grafana's dashboard: `.venv/bin/python scripts/dashboard.py`, after a change of the panels below."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards" / "batuta.json"
_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Number:
    """A panel with one number: how often something happened in the last hour, or how many there are."""

    title: str
    description: str
    query: str


@dataclass(frozen=True, slots=True)
class Rates:
    """A panel of lines over time: how often each metric happened a second, by its labels."""

    title: str
    description: str
    lines: tuple[tuple[str, str, str], ...]
    """Metric without the words around it, labels to tell apart by, and what the legend says."""


NUMBERS = (
    Number("Servers that answer", "API and coordinators; what is missing is down.", 'sum(up{job="batuta"})'),
    Number(
        "Dead letters, last hour",
        "Messages that could not be processed: docs/how-to/dead-letters.md.",
        "sum(increase(saga_dead_letter_total[1h]))",
    ),
    Number("Defects, last hour", "Should be 0: look at the logs.", "sum(increase(saga_defect_total[1h]))"),
    Number(
        "Commands without a queue, last hour",
        "Should be 0: a service that no queue is declared for.",
        "sum(increase(saga_unroutable_total[1h]))",
    ),
)
RATES = (
    Rates("Transitions", "Appends to the log, by server.", (("transitions", "instance", "{{instance}}"),)),
    Rates(
        "Messages",
        "Messages seen to their end, by server.",
        (("messages_handled", "instance", "{{instance}}"),),
    ),
    Rates(
        "Trouble with store and broker",
        "Calls that were made again, by code.",
        (("transient_trouble", "code", "{{code}}"),),
    ),
    Rates("Dead letters", "By reason.", (("dead_letter", "reason", "{{reason}}"),)),
    Rates(
        "Duplicates and conflicts",
        "Redeliveries, and appends that another coordinator overtook: both are normal, a lasting rise is not.",
        (("duplicate", "", "duplicates"), ("conflict", "", "conflicts")),
    ),
    Rates(
        "Timers",
        "Fired, and refused because their process can't go on.",
        (("timer_fired", "", "fired"), ("wake_refused", "reason", "refused: {{reason}}")),
    ),
    Rates(
        "The broker was away",
        "Acknowledgements whose channel was gone, and returns of the broker.",
        (("ack_lost", "", "acknowledgements lost"), ("bus_returned", "", "returns")),
    ),
    Rates(
        "Locks and requests",
        "Locks released in the place of an ended process, and requests that changed nothing.",
        (("lock_swept", "", "locks swept"), ("request_unrecorded", "", "requests without effect")),
    ),
    Rates(
        "Calls to services over HTTP",
        "By service and outcome.",
        (("http_call", "service, outcome", "{{service}} {{outcome}}"),),
    ),
    Rates(
        "Addresses that rest",
        "Addresses that were ejected, and services of which all were.",
        (
            ("http_ejection", "service", "{{service}}: an address"),
            ("http_breaker_opened", "service", "{{service}}: all"),
        ),
    ),
    Rates(
        "Callbacks", "Calls to callback addresses, by result.", (("webhook_attempt", "result", "{{result}}"),)
    ),
)


def dashboard() -> dict[str, object]:
    """Make the document that Grafana loads."""
    width = _COLUMNS // len(NUMBERS)
    numbers = [_number(panel, number * width, width) for number, panel in enumerate(NUMBERS)]
    rates = [_rates(panel, number) for number, panel in enumerate(RATES)]
    return {
        "uid": "batuta",
        "title": "Batuta",
        "tags": ["batuta"],
        "schemaVersion": 41,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "panels": [{"id": number, **panel} for number, panel in enumerate([*numbers, *rates], start=1)],
    }


def _number(panel: Number, x: int, width: int) -> dict[str, object]:
    return {
        **_panel("stat", panel, {"x": x, "y": 0, "w": width, "h": 4}, "short"),
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": panel.query, "legendFormat": ""}],
    }


def _rates(panel: Rates, number: int) -> dict[str, object]:
    place = {"x": number % 2 * 12, "y": 4 + number // 2 * 8, "w": 12, "h": 8}
    return {
        **_panel("timeseries", panel, place, "ops"),
        "targets": [
            {
                "refId": chr(ord("A") + line),
                "datasource": _SOURCE,
                "expr": f"sum {_by(labels)}(rate(saga_{metric}_total[$__rate_interval]))",
                "legendFormat": legend,
            }
            for line, (metric, labels, legend) in enumerate(panel.lines)
        ],
    }


def _by(labels: str) -> str:
    return f"by ({labels}) " if labels else ""


def _panel(kind: str, panel: Number | Rates, place: dict[str, int], unit: str) -> dict[str, object]:
    return {
        "type": kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
    }


def main() -> None:
    """Write the file."""
    FILE.write_text(json.dumps(dashboard(), indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    main()
