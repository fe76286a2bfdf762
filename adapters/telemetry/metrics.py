"""Count what the coordinator does, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter

_COUNTERS = {
    "transient_trouble": ("Calls to the store or the broker that failed and were made again", ("code",)),
    "unroutable": ("Commands that no queue took", ("service",)),
    "dead_letter": ("Messages that were parked in the dead letters", ("reason",)),
    "duplicate": ("Messages that were in the log already", ()),
    "conflict": ("Appends that another coordinator overtook", ()),
    "defect": ("Messages whose handling failed for no known reason and was tried again", ()),
    "wake_refused": ("Timers of processes that can't go on", ("reason",)),
    "ack_lost": ("Acknowledgements whose channel was gone; the messages come again", ()),
    "bus_returned": ("Times that the broker was usable again after it was away", ()),
    "lock_swept": ("Locks released in the place of a process that has ended", ()),
    "request_unrecorded": ("Requests to processes that changed nothing and left no trace in the log", ()),
    "webhook_attempt": (
        "Calls to callback addresses: delivered, failed, given_up",
        ("result",),
    ),
    "http_call": ("Calls to services over HTTP", ("service", "address", "outcome")),
    "http_ejection": ("Times that an address of a service was ejected", ("service", "address")),
    "http_breaker_opened": ("Times that all addresses of a service were ejected", ("service",)),
    "timer_fired": ("Timers that went off", ()),
}


class PrometheusObserver:
    """Implement `saga.ports.observer.Observer` with one counter per name; an unknown name is not counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._handled = Counter(
            "saga_messages_handled_total", "Messages seen to their end", registry=registry
        )
        self._appended = Counter("saga_transitions_total", "Transitions in the log", registry=registry)
        self._counters = {
            name: Counter(f"saga_{name}_total", text, labels, registry=registry)
            for name, (text, labels) in _COUNTERS.items()
        }

    def reached(self, point: str) -> None:
        """Count the two points that tell the rate of work."""
        if point == "acked":
            self._handled.inc()
        elif point == "appended":
            self._appended.inc()

    def counted(self, name: str, **labels: str) -> None:
        """Count one occurrence."""
        counter = self._counters.get(name)
        if counter is not None:
            (counter.labels(**labels) if labels else counter).inc()
