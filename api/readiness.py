"""Whether a server can do its work now, and if not, what is missing."""

import asyncio

from api.backends import Backends
from saga.errors import SagaError

ASK_WITHIN_S = 2.0


class Readiness:
    """Ask the store and the broker, within two seconds."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def __call__(self) -> tuple[str, ...]:
        """Name what is missing; nothing means ready."""
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                store, bus = await asyncio.gather(self._store(), self._bus())
        except TimeoutError:
            return ("an answer of the store or the broker",)
        return (*store, *bus)

    async def _store(self) -> tuple[str, ...]:
        try:
            await self._backends.ping()
            self._backends.clock.now()
        except SagaError as error:
            return (f"the store ({error.code})",)
        return ()

    async def _bus(self) -> tuple[str, ...]:
        try:
            missing = await self._backends.bus.missing()
            consumers = 0 if missing else await self._backends.bus.consumers()
        except SagaError as error:
            return (f"the broker ({error.code})",)
        return (*missing, *(() if consumers else ("a coordinator that consumes",)))
