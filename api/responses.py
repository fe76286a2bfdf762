"""How the service writes its answers: JSON as it is kept, and problems."""

from starlette.responses import Response

from api.problems import MEDIA_TYPE, Problem
from saga.messages.json_text import Json, to_text


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
