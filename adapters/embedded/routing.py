"""Which queue takes a message: the bindings of the broker's topology, for a bus without a broker."""

from saga.ports.bus import Exchange

_PREFIX = "saga"
COORDINATOR = f"{_PREFIX}.coordinator"
_REPLIES = frozenset({"step.completed", "step.failed", "step.progress"})


def exchange_name(exchange: Exchange) -> str:
    """Give the name that a delivery carries, as on the broker."""
    return f"{_PREFIX}.{exchange}"


def service_queue(service: str) -> str:
    """Name the queue of a service."""
    return f"{_PREFIX}.step.{service}"


def queue_for(exchange: Exchange, routing_key: str) -> str | None:
    """Name the queue whose binding matches, whether it was declared or not; None where none would.

    No two bindings match the same key, so a message goes to one queue at most.
    """
    if exchange is Exchange.EVENTS:
        return COORDINATOR if routing_key in _REPLIES else None
    match routing_key.split("."):
        case ["process", _]:
            return COORDINATOR
        case ["step", service, _]:
            return service_queue(service)
        case _:
            return None
