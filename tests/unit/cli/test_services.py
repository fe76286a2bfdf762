"""How participants look at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from api.cli.service_tables import service_table

if TYPE_CHECKING:
    from saga.messages.json_text import JsonObject


def _shown(*services: JsonObject) -> list[str]:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(service_table(services))
    return captured.get().splitlines()


def _service(**more: Any) -> JsonObject:
    return {
        "service": "payment",
        "transport": "broker",
        "consumers": 2,
        "other_consumers": 0,
        "waiting": 7,
        "held": 0,
        "outstanding": 0,
        "success_rate": None,
        "breaker": None,
        "addresses": [],
        **more,
    }


def test_a_participant_of_the_broker_is_one_line() -> None:
    """What nobody knows of it is left empty."""
    _, line = _shown(_service())

    assert line.split() == ["payment", "broker", "2", "7"]


def test_each_address_has_a_line_of_its_own() -> None:
    """Words say what the colours do; nothing of an address can steer the terminal."""
    addresses: list[Any] = [
        {
            "url": "http://a\x1b[31m",
            "state": "ejected",
            "returns_at": "2000-01-01T00:00:00Z",
            "outstanding": 1,
            "limit": 20,
            "calls": 10,
            "success_rate": 0.25,
            "latency": {"median": 0.0123, "p95": 1.5},
        }
    ]
    lines = _shown(
        _service(transport="http", breaker="open", other_consumers=1, success_rate=0.25, addresses=addresses)
    )

    assert "breaker open" in lines[1]
    assert "2 (1 not ours!)" in lines[1]
    assert lines[2].split() == ["http://a\\x1b[31m", "ejected", "1/20", "25%", "0.012s", "1.500s", "0s"]
