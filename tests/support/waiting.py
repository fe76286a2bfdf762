"""Waiting for something to become true: the only place of the tests where a loop sleeps."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_PAUSE_S = 0.02

Found = TypeVar("Found")


@overload
async def eventually(
    look: Callable[[], Coroutine[Any, Any, Found]], *, within_s: float = ..., what: str = ...
) -> Found: ...


@overload
async def eventually(look: Callable[[], Found], *, within_s: float = ..., what: str = ...) -> Found: ...


async def eventually(look: Callable[[], object], *, within_s: float = 10.0, what: str = "") -> object:
    """Call `look` until its answer is true and return that answer; after `within_s` it fails with `what`."""
    deadline = time.monotonic() + within_s
    while True:
        answer = look()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or look}; last seen: {answer!r}"
        await asyncio.sleep(_PAUSE_S)


def wait_until(look: Callable[[], Found], *, within_s: float = 10.0, what: str = "") -> Found:
    """Do the same as `eventually` without an event loop."""
    deadline = time.monotonic() + within_s
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or look}; last seen: {answer!r}"
        time.sleep(_PAUSE_S)
