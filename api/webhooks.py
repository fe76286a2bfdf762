"""Who calls back: what is kept by every coordinator, and sent by those that have a secret to sign with."""

import asyncio
import logging

from api.backends import Backends
from api.settings import Settings
from saga.coordinator.callbacks import Callbacks
from saga.ports.observer import Observer
from saga.webhooks.policy import CallbackPolicy
from saga.webhooks.sender import WebhookSender

_log = logging.getLogger("saga.server")


class WebhookRole:
    """Hold the webhooks' side of one coordinator.

    Without the settings nothing is sent from here, but what other servers accepted is kept for those that send.
    """

    def __init__(
        self, settings: Settings, backends: Backends, observer: Observer, policy: CallbackPolicy
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._observer = observer
        self._policy = policy
        self._sender: WebhookSender | None = None
        self._has_warned = False
        self.callbacks = Callbacks(backends.deliveries, observer, on_kept=self._wake)

    async def run(self, stopping: asyncio.Event, *, grace_s: float) -> None:
        """Send what is due until the server stops."""
        keys = self._settings.webhook_keys
        if not keys:
            return
        from adapters.http.webhooks import HttpWebhookCaller  # noqa: PLC0415 - loads only the drivers that are used

        caller = HttpWebhookCaller(may_be_private=self._policy.may_be_private)
        self._sender = WebhookSender(
            store=self._backends.deliveries,
            caller=caller,
            policy=self._policy,
            keys=keys,
            clock=self._backends.clock,
            observer=self._observer,
        )
        try:
            await self._sender.run(stopping, grace_s=grace_s)
        finally:
            await caller.close()

    def _wake(self) -> None:
        if self._sender is not None:
            self._sender.wake()
        elif not self._settings.webhook_keys and not self._has_warned:
            self._has_warned = True
            _log.warning(
                "a webhook is kept, and this server has no SAGA_WEBHOOK_SECRET to send it with: it waits for "
                "a coordinator that has one"
            )
