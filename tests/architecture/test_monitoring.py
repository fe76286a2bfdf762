"""What Prometheus and Grafana are given: it speaks of metrics that there are, and of all of them."""

from __future__ import annotations

import json
import re
import runpy
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from adapters.telemetry import metrics
from adapters.telemetry.metrics import PrometheusObserver
from tests.architecture.source import ROOT

DEPLOY = ROOT / "deploy"
DASHBOARD: dict[str, Any] = json.loads(
    (DEPLOY / "grafana/dashboards/batuta.json").read_text(encoding="utf-8")
)
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))
PROMETHEUS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))

SHOWN = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
_METRIC = re.compile(r"\bsaga_\w+")
_GROUPED = re.compile(r"by \((?P<labels>[\w, ]+)\)[^)]*?(?P<metric>saga_\w+)")
_SHOWN_LABEL = re.compile(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}")
_OF_PROMETHEUS = {"instance", "job"}


def _there() -> set[str]:
    registry = CollectorRegistry()
    PrometheusObserver(registry)
    return {f"{family.name}_total" for family in registry.collect()}


def _labels(metric: str) -> set[str]:
    _, labels = metrics._COUNTERS.get(metric.removeprefix("saga_").removesuffix("_total"), ("", ()))
    return set(labels) | _OF_PROMETHEUS


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    """A panel of a metric that isn't there would stay empty, and one that nobody shows is not looked at."""
    shown = {name for query in SHOWN for name in _METRIC.findall(query)}
    assert shown == _there(), "put it into a panel of scripts/dashboard.py, and run that"


def test_the_dashboard_is_what_its_script_writes() -> None:
    """`python scripts/dashboard.py` would change nothing."""
    written = DEPLOY / "grafana/dashboards/batuta.json"
    before = written.read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "scripts/dashboard.py"))
    assert json.dumps(script["dashboard"](), indent=2) + "\n" == before


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_watches_what_is_there_and_says_what_to_do(rule: dict[str, Any]) -> None:
    """It names a metric of ours or `up`, how bad it is, what is the case, and what to do."""
    assert set(_METRIC.findall(rule["expr"])) <= _there()
    assert "saga_" in rule["expr"] or rule["expr"].startswith("up{")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"]


@pytest.mark.parametrize("query", [*SHOWN, *(rule["expr"] for rule in RULES)])
def test_a_query_groups_by_labels_that_its_metric_has(query: str) -> None:
    """To group by another label gives one line without a name."""
    for match in _GROUPED.finditer(query):
        assert set(match["labels"].split(", ")) <= _labels(match["metric"])


def test_what_a_legend_shows_is_what_its_query_groups_by() -> None:
    """Another label would be shown as nothing."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            grouped = {
                label for match in _GROUPED.finditer(target["expr"]) for label in match["labels"].split(", ")
            }
            assert set(_SHOWN_LABEL.findall(target["legendFormat"])) <= grouped, panel["title"]


def test_prometheus_reads_every_server_whose_port_it_reaches() -> None:
    """The API and each coordinator; a new coordinator in the compose file belongs into its list."""
    targets = {
        target
        for job in PROMETHEUS["scrape_configs"]
        for one in job["static_configs"]
        for target in one["targets"]
    }
    reachable = {
        name
        for name, service in COMPOSE["services"].items()
        if service.get("build") and "SAGA_HTTP_HOST" not in service["environment"]
    }
    assert targets == {f"{name}:8003" for name in reachable}


def test_panels_have_a_place_of_their_own() -> None:
    """None lies on another, and each says what it shows."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert panel["description"]
        taken |= cells
    assert max(x for x, _ in taken) < 24
