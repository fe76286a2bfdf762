"""How the service writes its answers: JSON as it is kept, and problems."""

import asyncio

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE, Problem
from saga.messages.json_text import Json, to_text

# A sender in full flow reads the refusal only after its body, and a connection that is closed before that is
# reset, which loses the refusal: so much is thrown away first, for so long.
DISCARDED_BYTES_MAX = 64 * 1024 * 1024
DISCARDED_SECONDS_MAX = 2.0


class JsonAnswer(Response):
    """Answer with JSON, written as payloads are stored, so that what was accepted comes back equal."""

    media_type = "application/json"

    def render(self, content: Json) -> bytes:
        """Write the value in UTF-8."""
        return to_text(content).encode()


class ProblemAnswer(JsonAnswer):
    """Answer with a problem document."""

    media_type = MEDIA_TYPE

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.document(), problem.kind.status, problem.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document; where the connection is closed after it, take what is still on its way first."""
        if self.headers.get("connection") != "close" or "expect" in _names(scope):
            await super().__call__(scope, receive, send)
            return

        async def send_all_but_the_end(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await super().__call__(scope, receive, send_all_but_the_end)
        await _discard(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: Receive) -> None:
    discarded = 0
    try:
        async with asyncio.timeout(DISCARDED_SECONDS_MAX):
            while discarded <= DISCARDED_BYTES_MAX:
                message = await receive()
                discarded += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _names(scope: Scope) -> set[str]:
    return {name.decode("latin-1") for name, _ in scope["headers"]}
