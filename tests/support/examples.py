"""The participants of the order fulfilment, each as the program that its page says to start."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pika

from tests.support.node import ROOT, find_node
from tests.support.owned_process import OwnedServer, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXAMPLES = ROOT / "examples"
DEFINITION = EXAMPLES / "order_fulfilment.yaml"


@dataclass(frozen=True, slots=True)
class Example:
    """Name a participant, what it does and undoes, and parameters that it takes."""

    service: str
    action: str
    compensation: str
    parameters: Mapping[str, object]
    is_http: bool = False


STOCK = Example("stock", "reserve", "release", {"item": "lamp", "quantity": 1})
PAYMENT = Example("payment", "charge", "refund", {"order_id": "o-1", "amount": 40})
SHIPPING = Example("shipping", "ship", "recall", {"order_id": "o-1", "address": "Main Street"}, is_http=True)


class ExampleParticipant(OwnedServer):
    """Run one of them; its memory is in a folder of its own and stays over `kill` and `start`."""

    def __init__(self, example: Example, *, amqp_url: str = "", prefix: str = "") -> None:
        """Choose a port where it is called over HTTP."""
        self.name = example.service
        super().__init__()
        self._example = example
        self._amqp_url = amqp_url
        self._prefix = prefix
        self._port = free_port()

    @property
    def url(self) -> str:
        """The address that it is called at, where it is."""
        return f"http://127.0.0.1:{self._port}"

    def _launch(self) -> None:
        settings = {
            "SAGA_AMQP_URL": self._amqp_url,
            "SAGA_AMQP_PREFIX": self._prefix,
            "STOCK_JOURNAL": str(self.folder / "stock.journal"),
            "PAYMENT_DATABASE": str(self.folder / "payment.db"),
            "SHIPPING_DATABASE": str(self.folder / "shipping.db"),
            "SHIPPING_PORT": str(self._port),
        }
        self._run(self._command(), {**os.environ, **settings})

    def _command(self) -> Sequence[str]:
        if self._example is STOCK:
            node = find_node()
            return [node.node, str(node.installed(EXAMPLES / "node") / "stock.mjs")]
        script = "pika/payment.py" if self._example is PAYMENT else "fastapi_http/shipping.py"
        return [sys.executable, str(EXAMPLES / script)]

    def _is_ready(self) -> bool:
        if not self._example.is_http:
            return consumers(self._amqp_url, f"{self._prefix}.step.{self.name}") > 0
        try:
            return httpx.get(f"{self.url}/openapi.json", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False


def consumers(url: str, queue: str) -> int:
    """Count the consumers of a queue; none where there is no such queue."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        try:
            found = connection.channel().queue_declare(queue, passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            return 0
        return int(found.method.consumer_count)
