"""The port to services that are called over HTTP."""

from collections.abc import Mapping
from typing import Protocol

from saga.values import value


class NoAnswer(Exception):  # noqa: N818 - an outcome of a call, which its caller expects
    """Say why a call has no answer that can be used.

    `was_sent` tells whether the service may have seen it: then nobody knows what it did. `status` is that of an
    answer that came and whose body can't be read.
    """

    def __init__(
        self, reason: str, *, was_sent: bool, timed_out: bool = False, status: int | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.was_sent = was_sent
        self.timed_out = timed_out
        self.status = status


@value
class CallAnswer:
    """Hold an answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Calls(Protocol):
    """Call services."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, deadline_s: float
    ) -> CallAnswer:
        """POST these bytes and read the whole answer within the deadline. Raises NoAnswer."""
        ...
