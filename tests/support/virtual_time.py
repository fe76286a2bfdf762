"""Look again and again while time is virtual, where that costs nothing and hides nothing."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def ticks(every_s: float, *, within_s: float = math.inf) -> AsyncIterator[None]:
    """Come back each time that so much time has passed, as long as the whole lasts no longer than `within_s`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while loop.time() < deadline:
        await asyncio.sleep(every_s)
        yield
