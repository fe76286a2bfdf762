"""How participants look on a terminal: a line per service, and one per address below it."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.cli.client import Client
from api.cli.outcome import Exit
from api.cli.output import Output, show_all, stdout
from api.cli.tables import plain, table_of
from saga.messages.json_text import Json, JsonObject

_COLOURS = {"well": "green", "closed": "green", "ejected": "red", "open": "red"}
_OTHER = "magenta"
_EVERY_S = 1.0


def list_all(client: Client, output: Output) -> Exit:
    """List the participants once."""
    services, _ = client.get_page("/service", ())
    show_all(services, output, service_table)
    return Exit.WELL


def watch(client: Client) -> Exit:
    """Show them anew every second; on anything but a terminal the tables follow each other."""
    with Live(service_table(_read(client)), console=stdout(), auto_refresh=False) as live:
        while True:
            time.sleep(_EVERY_S)
            live.update(service_table(_read(client)), refresh=True)


def _read(client: Client) -> Sequence[JsonObject]:
    services, _ = client.get_page("/service", ())
    return services


def service_table(services: Sequence[JsonObject]) -> Table:
    """Show a line per service, and one per address."""
    table = table_of(
        "service",
        "by",
        "state",
        "consumers",
        "waiting",
        "held",
        "calls",
        "success",
        "median",
        "p95",
        "back in",
    )
    for service in services:
        others = service["other_consumers"]
        consumers = f"{service['consumers']}" + (f" ({others} not ours!)" if others else "")
        table.add_row(
            plain(service["service"]),
            plain(service["transport"]),
            _word(service["breaker"], shown=f"breaker {plain(service['breaker'])}"),
            consumers,
            plain(service["waiting"]),
            *((plain(service["held"]), plain(service["outstanding"])) if service["breaker"] else ("", "")),
            _share(service["success_rate"]),
        )
        for row in _address_rows(cast("list[JsonObject]", service["addresses"])):
            table.add_row(*row)
    return table


def _address_rows(addresses: Sequence[JsonObject]) -> Iterator[tuple[str | Text, ...]]:
    for address in addresses:
        latency = cast("JsonObject | None", address["latency"]) or {}
        yield (
            f"  {plain(address['url'])}",
            "",
            _word(address["state"]),
            "",
            "",
            "",
            f"{plain(address['outstanding'])}/{plain(address['limit'])}",
            _share(address["success_rate"]),
            _seconds(latency.get("median")),
            _seconds(latency.get("p95")),
            _left(address["returns_at"]),
        )


def _word(word: Json, *, shown: str | None = None) -> Text:
    if word is None:
        return Text("")
    return Text(shown or plain(word), style=_COLOURS.get(plain(word), _OTHER))


def _share(share: Json) -> str:
    return f"{share:.0%}" if isinstance(share, int | float) else ""


def _seconds(seconds: Json) -> str:
    return f"{seconds:.3f}s" if isinstance(seconds, int | float) else ""


def _left(at: Json) -> str:
    if not isinstance(at, str):
        return ""
    left_s = (datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds()
    return f"{max(0.0, left_s):.0f}s"
