"""What lies between a server and the outside world: chance, delays, lost answers, and the server's own death."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from saga.errors import SagaError
from tests.support.virtual_time import ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from random import Random

T = TypeVar("T")


class Chance:
    """Decide whether a fault happens; after `calm` none does any more."""

    def __init__(self, rng: Random, rates: Mapping[str, float]) -> None:
        self.rng = rng
        # Effects whose caller has heard an error already, and that are still to come.
        self.late_effects = 0
        self._rates = rates
        self._struck: set[str] = set()
        self.is_calm = False

    def strikes(self, name: str, *, over_s: float | None = None) -> bool:
        """Say whether a fault happens now, or within a time where its rate is per second."""
        rate = self._rates.get(name)
        if rate is None or self.is_calm:
            return False
        does = self.rng.random() < (rate if over_s is None else rate * over_s)
        if does:
            self._struck.add(name)
        return does

    def has_struck(self, name: str) -> bool:
        """Say whether a fault happened at all."""
        return name in self._struck

    def seconds(self, least: float, most: float) -> float:
        """Draw a time."""
        return self.rng.uniform(least, most)

    def calm(self) -> None:
        """End all faults."""
        self.is_calm = True


class Server:
    """One server's life: whatever it does to the outside world goes through here.

    When it dies, its calls that are under way still take effect or not, as on a real network, but no answer
    comes back; nothing that its code does afterwards, while its tasks unwind, reaches anybody.
    """

    def __init__(self, name: str, chance: Chance, on_death: Callable[[Server], None]) -> None:
        self.name = name
        self.chance = chance
        self.is_dead = False
        self._on_death = on_death
        self._frozen_until = 0.0
        self._under_way: dict[asyncio.Future[object], None] = {}

    def die(self) -> None:
        """Vanish."""
        if not self.is_dead:
            self.is_dead = True
            for call in self._under_way:
                call.cancel()
            self._on_death(self)

    def freeze(self, for_s: float) -> None:
        """Stand still for a time."""
        self._frozen_until = asyncio.get_running_loop().time() + for_s

    def thaw(self) -> None:
        """Freeze no longer than now."""
        self._frozen_until = 0.0

    async def is_up(self) -> None:
        """Go on only if the server lives, and not before it is thawed."""
        if self.is_dead:
            raise asyncio.CancelledError
        loop = asyncio.get_running_loop()
        if self._frozen_until > loop.time():
            async for _ in ticks(0.5):
                if self.is_dead:
                    raise asyncio.CancelledError
                if self._frozen_until <= loop.time():
                    break

    async def call(
        self, effect: Callable[[], T], *, error: SagaError | None = None, happens: str = "now"
    ) -> T:
        """Let something happen in the outside world, after a moment, and give its result.

        With an `error` that is the answer, and the effect happens `now`, `late` or `never`.
        """
        await self.is_up()
        if self.chance.strikes("crash_at_call"):
            self.die()
            raise asyncio.CancelledError
        loop = asyncio.get_running_loop()
        delay_s = 0.001 + 0.004 * self.chance.rng.random()
        if self.chance.strikes("slow"):
            delay_s += self.chance.seconds(0.1, 3)
        answer: asyncio.Future[T] = loop.create_future()
        self._under_way[answer] = None  # type: ignore[index]  # of any result: it is only ever cancelled
        if happens == "late":
            self.chance.late_effects += 1
            loop.call_later(delay_s + self.chance.seconds(0.5, 6), self._happen_late, effect)
        loop.call_later(delay_s, self._arrive, effect if happens == "now" else None, error, answer)
        try:
            return await answer
        finally:
            del self._under_way[answer]  # type: ignore[arg-type]  # likewise

    def _arrive(
        self, effect: Callable[[], T] | None, error: SagaError | None, answer: asyncio.Future[T]
    ) -> None:
        result: list[T] = []
        try:
            if effect is not None:
                result.append(effect())
        except SagaError as refused:
            error = error or refused
        if not self.is_dead and self.chance.strikes("crash_at_call"):
            self.die()
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result[0])

    def _happen_late(self, effect: Callable[[], object]) -> None:
        self.chance.late_effects -= 1
        with suppress(SagaError):  # nobody is there to hear it
            effect()


def at_once(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of an in-memory port, which never waits."""
    try:
        step.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("an in-memory port waited")
