"""uvicorn's HTTP protocol, with a patience that ends.

uvicorn waits for ever for the rest of a header or of a body, and keeps headers of any size. Here a request
has to come whole within a few seconds; what is too slow is cut off, and nobody else notices.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api import problems as kinds
from api.problems import MEDIA_TYPE, Problem, ProblemType
from saga.messages.json_text import to_text

HEADER_SECONDS_MAX = 5.0
# Above the time that the door gives to a body, so that its refusal goes out first.
BODY_SECONDS_MAX = 9.0
HEADER_BYTES_MAX = 64 * 1024


class PunctualHttpProtocol(HttpToolsProtocol):
    """Close a connection whose request does not come whole in time, or whose header does not end."""

    _deadline: asyncio.TimerHandle | None = None
    _is_in_header: bool = True
    _bytes_received: int = 0
    _header_bytes: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect(HEADER_SECONDS_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and stop at a header that does not end."""
        # Also bytes that begin no request, such as empty lines between two, are waited for only so long.
        if self._deadline is None:
            self._expect(HEADER_SECONDS_MAX)
        if self._is_in_header:
            self._bytes_received += len(data)
        super().data_received(data)
        if self._is_in_header and self._bytes_received > HEADER_BYTES_MAX and not self.transport.is_closing():
            self._refuse(kinds.HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._header_bytes = 0
        if self._deadline is None:
            self._expect(HEADER_SECONDS_MAX)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, and stop where all together are too large."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            raise ValueError("the headers are too large")  # the parser turns this into its own error
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body, which has its own time."""
        self._is_in_header = False
        self._expect(BODY_SECONDS_MAX)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request; the next one may come later, uvicorn's own timer watches that."""
        self._is_in_header = True
        self._bytes_received = 0
        self._expect(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not shown
        """Answer what is no HTTP, in the form of all other refusals."""
        too_large = self._header_bytes > HEADER_BYTES_MAX
        self._refuse(kinds.HEADERS_TOO_LARGE if too_large else kinds.BAD_REQUEST)

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if self.pipeline:
            # The next request waits behind one that is still answered, and we don't read on: not its fault.
            self._expect(BODY_SECONDS_MAX)
        elif not self._is_in_header or not self._bytes_received:
            self.transport.close()
        elif not self.transport.is_closing():
            self._refuse(kinds.REQUEST_TIMEOUT)

    def _refuse(self, kind: ProblemType) -> None:
        if self.cycle is None or self.cycle.response_complete:
            body = to_text(Problem(kind, kind.explanation).document()).encode()
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[kind.status] + head.encode() + body)
        self.transport.close()
