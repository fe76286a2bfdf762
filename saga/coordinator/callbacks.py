"""What a process tells the callback address that it was given: kept durably where its events are published.

Only the ends of a process and its suspension are told, and only for a process with a callback address: of all
others nothing is looked at. Whoever finds a transition again, in a redelivery or in a tail, keeps it again,
which changes nothing. Nothing is sent from here.
"""

from collections.abc import Callable, Iterable

from saga.coordinator.outgoing import traceparent
from saga.coordinator.patience import patiently
from saga.messages.json_text import Json, JsonObject, JsonText, to_text
from saga.ports.deliveries import DeliveryStore, WebhookDelivery
from saga.ports.observer import Observer
from saga.process import events as ev
from saga.process.state import ProcessState
from saga.process.transition import Transition
from saga.views.event import event_entry
from saga.webhooks.policy import host_of

# A result may be larger than what a receiver takes: it is then read from the process.
BODY_BYTES_MAX = 512 * 1024

_TOLD = {
    ev.Completed: "completed",
    ev.Compensated: "compensated",
    ev.Suspended: "suspended",
    ev.Failed: "failed",
}


class Callbacks:
    """Keep deliveries; `on_kept` hears of each, so that it need not be looked for."""

    def __init__(self, store: DeliveryStore, observer: Observer, *, on_kept: Callable[[], None]) -> None:
        self._store = store
        self._observer = observer
        self._on_kept = on_kept

    async def keep(self, state: ProcessState, transitions: Iterable[Transition]) -> None:
        """Return when all that these transitions tell is durable. Raises GaveUp."""
        if state.origin.callback_url is None:
            return
        for transition in transitions:
            for number, event in enumerate(transition.events, start=transition.first):
                if type(event) in _TOLD:
                    await self._keep(delivery_of(state, transition, event, number))

    async def _keep(self, delivery: WebhookDelivery) -> None:
        await patiently(lambda: self._store.add(delivery), self._observer)
        self._observer.reached("webhook_kept")
        self._on_kept()


def delivery_of(state: ProcessState, transition: Transition, event: ev.Event, number: int) -> WebhookDelivery:
    """Write what is told of an event: its entry of the log, and whose it is.

    It says nothing that may be another thing when the same event is told again.
    """
    word = _TOLD[type(event)]
    url = state.origin.callback_url or ""
    return WebhookDelivery(
        process_id=state.process_id,
        sequence=number,
        kind=f"process.{state.origin.process_type}.{word}",
        url=url,
        host=host_of(url),
        body=_body(state, transition, event, number),
        traceparent=traceparent(state, f"{state.process_id}:{number}:callback"),
        created_at=transition.at,
        due_at=transition.at,
    )


def _body(state: ProcessState, transition: Transition, event: ev.Event, number: int) -> JsonText:
    entry = event_entry(number, event, transition)
    del entry["actor"]  # a server of ours, which is nobody's business outside
    labels: dict[str, Json] = dict(state.origin.labels)
    about: JsonObject = {
        "process_id": state.process_id,
        "process_type": state.origin.process_type,
        "status": _TOLD[type(event)],
        "labels": labels,
    }
    body = to_text({**entry, **about, "data_left_out": False})
    if len(body.encode()) <= BODY_BYTES_MAX:
        return body
    return to_text({**entry, **about, "data": {}, "data_left_out": True})
