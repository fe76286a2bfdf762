"""A participant as a document: its queue, and what all who call it know of its addresses, put together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from saga.calling.balance import Breaker
from saga.calling.line import LineState
from saga.calling.report import AddressReport, ServiceReport
from saga.messages.json_text import Json, JsonObject
from saga.messages.timestamps import rfc3339
from saga.ports.bus import QueueStanding

# When a report was made (milliseconds), and the report.
CalledBy: TypeAlias = tuple[int, ServiceReport]

# Of several views of one address the worst is shown.
_BADNESS: Mapping[str, int] = {
    LineState.WELL: 0,
    LineState.RESTING: 1,
    LineState.SILENT: 2,
    LineState.PROBING: 3,
    LineState.EJECTED: 4,
}


def service_document(
    service: str, queue: QueueStanding | None, called_by: Sequence[CalledBy], *, is_configured: bool
) -> JsonObject:
    """Write what is known of a service; without a report nobody here knows how its calls go, and it is null."""
    is_http = is_configured or bool(called_by)
    consumers = 0 if queue is None else queue.consumers
    addresses = _addresses(called_by)
    every = [(at, address) for at, report in called_by for address in report.addresses]
    return {
        "service": service,
        "transport": "http" if is_http else "broker",
        "consumers": consumers,
        "other_consumers": max(0, consumers - len(called_by)) if is_http else 0,
        "waiting": 0 if queue is None else queue.waiting,
        "held": sum(report.waiting for _, report in called_by),
        "outstanding": sum(address.outstanding for _, address in every),
        "success_rate": _success_rate([address for _, address in every]),
        "breaker": _breaker([report.breaker for _, report in called_by]),
        "addresses": addresses,
    }


def _addresses(called_by: Sequence[CalledBy]) -> list[Json]:
    views: dict[str, list[tuple[int, AddressReport]]] = {}
    for at, report in called_by:
        for address in report.addresses:
            views.setdefault(address.url, []).append((at, address))
    return [_address(url, seen) for url, seen in views.items()]


def _address(url: str, seen: Sequence[tuple[int, AddressReport]]) -> JsonObject:
    addresses = [address for _, address in seen]
    worst = max(addresses, key=lambda address: _BADNESS.get(address.state, 0))
    returns = [at + round(one.returns_in_s * 1000) for at, one in seen if one.returns_in_s is not None]
    return {
        "url": url,
        "state": worst.state,
        "returns_at": rfc3339(max(returns)) if returns else None,
        "outstanding": sum(address.outstanding for address in addresses),
        "limit": sum(address.limit for address in addresses),
        "calls": sum(address.calls for address in addresses),
        "success_rate": _success_rate(addresses),
        "latency": _latency(addresses),
    }


def _latency(addresses: Sequence[AddressReport]) -> JsonObject | None:
    medians = [address.median_s for address in addresses if address.median_s is not None]
    slow = [address.p95_s for address in addresses if address.p95_s is not None]
    return {"median": max(medians), "p95": max(slow)} if medians and slow else None


def _success_rate(addresses: Sequence[AddressReport]) -> float | None:
    calls = sum(address.calls for address in addresses)
    return round(sum(address.succeeded for address in addresses) / calls, 4) if calls else None


def _breaker(states: Iterable[str]) -> str | None:
    """Say closed where anybody gets through."""
    known = set(states)
    if not known:
        return None
    best = (Breaker.CLOSED, Breaker.HALF_OPEN, Breaker.OPEN)
    return next((str(state) for state in best if state in known), str(Breaker.OPEN))
