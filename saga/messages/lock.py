"""What the keeper of the locks tells a process: whose a business key is, or that a joined process ended."""

from typing import TypeAlias

from saga.messages.json_text import Json, JsonText, to_text
from saga.values import value


@value
class LockNews:
    """Say what came of trying to take a key; `answer` is one of the words of `LockAnswer`."""

    process_id: str
    key: str
    answer: str
    holder: str

    @property
    def identity(self) -> str:
        """Give what makes a second copy of the news a duplicate."""
        return f"lock:{self.process_id}:{self.key}:{self.answer}:{self.holder}"

    def to_body(self) -> JsonText:
        """Write the message."""
        return to_text(
            {"process_id": self.process_id, "key": self.key, "answer": self.answer, "holder": self.holder}
        )


@value
class HolderNews:
    """Say how the process ended that another one joined."""

    process_id: str
    holder: str
    status: str
    result: JsonText | None

    @property
    def identity(self) -> str:
        """Give what makes a second copy of the news a duplicate."""
        return f"holder:{self.process_id}:{self.holder}:{self.status}"

    def to_body(self) -> JsonText:
        """Write the message; the result stands in it as text."""
        return to_text(
            {
                "process_id": self.process_id,
                "holder": self.holder,
                "status": self.status,
                "result": self.result,
            }
        )


News: TypeAlias = LockNews | HolderNews


def parse_news(body: Json) -> News:
    """Read news of a lock. Raises ValueError."""
    if isinstance(body, dict):
        process_id, holder = body.get("process_id"), body.get("holder")
        key, answer, status, result = (body.get(name) for name in ("key", "answer", "status", "result"))
        if isinstance(process_id, str) and isinstance(holder, str):
            if isinstance(key, str) and isinstance(answer, str):
                return LockNews(process_id, key, answer, holder)
            if isinstance(status, str) and (result is None or isinstance(result, str)):
                return HolderNews(process_id, holder, status, None if result is None else JsonText(result))
    raise ValueError("news of a lock holds process_id, holder, and key with answer, or status")
