"""What one can ask about the calls to a process's callback address, and have made again."""

from saga.messages.json_text import Json, JsonObject
from saga.ports.clock import Clock
from saga.ports.deliveries import DeliveryStore, WebhookDelivery
from saga.usecases.read import ReadProcesses
from saga.views.deliveries import delivery_document
from saga.webhooks.deciding import sent_again


class ProcessDeliveries:
    """Read the delivery log of a process, and have a delivery sent again."""

    def __init__(self, store: DeliveryStore, read: ReadProcesses, clock: Clock) -> None:
        self._store = store
        self._read = read
        self._clock = clock

    async def log(self, process_id: str) -> JsonObject | None:
        """Write the delivery log of a process; None for one that was never accepted."""
        state = await self._read.get(process_id)
        if state is None:
            return None
        deliveries = await self._store.of_process(process_id)
        documents: list[Json] = [delivery_document(delivery) for delivery in deliveries]
        return {
            "process_id": process_id,
            "callback_url": state.origin.callback_url,
            "deliveries": documents,
        }

    async def send_again(self, process_id: str, sequence: int) -> JsonObject | None:
        """Have a delivery sent again, wherever it stands, with a whole new budget; None where there is none."""
        while True:
            delivery: WebhookDelivery | None = await self._store.get(process_id, sequence)
            if delivery is None:
                return None
            again = sent_again(delivery, now=self._clock.now())
            if await self._store.replace(again):
                return delivery_document(again)
            # A sender wrote what came of a call meanwhile: look again.
