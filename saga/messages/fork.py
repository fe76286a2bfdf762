"""What a process that was rerun from another one tells it, so that the logs of both name each other."""

from saga.messages.json_text import Json, JsonText, to_text
from saga.values import value

_MEMBERS = ("process_id", "fork", "step", "reason", "actor")


@value
class ForkNews:
    """Say that the process `fork` was begun from what `process_id` did before `step`."""

    process_id: str
    fork: str
    step: str
    reason: str
    actor: str

    @property
    def request_id(self) -> str:
        """Give what makes a second copy of the news a duplicate."""
        return f"rerun:{self.fork}"

    def to_body(self) -> JsonText:
        """Write the message."""
        return to_text({name: getattr(self, name) for name in _MEMBERS})


def parse_fork_news(body: Json) -> ForkNews:
    """Read the news of a fork. Raises ValueError."""
    values = [body.get(name) for name in _MEMBERS] if isinstance(body, dict) else []
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(_MEMBERS):
        raise ValueError(f"news of a fork holds {', '.join(_MEMBERS)}")
    return ForkNews(*texts)
