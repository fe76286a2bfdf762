"""The request that a process goes on by another version of its definition."""

import re

from saga.messages.control import InvalidControl, parse_control
from saga.messages.json_text import Json, JsonObject, JsonText, to_text
from saga.values import value

MIGRATE = "migrate"
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@value
class MigrateCommand:
    """Hold a well-formed request; whether the version fits is judged when it arrives.

    `definition` is the hash of one that is stored. `actor` is believed only of Batuta.
    """

    process_id: str
    definition: str
    reason: str
    request_id: str | None = None
    actor: str | None = None

    def to_body(self) -> JsonText:
        """Write the message, without what was left out."""
        body: JsonObject = {
            "process_id": self.process_id,
            "definition": self.definition,
            "reason": self.reason,
        }
        for name in ("request_id", "actor"):
            value = getattr(self, name)
            if value is not None:
                body[name] = value
        return to_text(body)


def parse_migrate(body: Json) -> MigrateCommand:
    """Read a request; unknown members are ignored. Raises InvalidControl."""
    given = parse_control(MIGRATE, body)
    definition = body.get("definition") if isinstance(body, dict) else None
    if not isinstance(definition, str) or not _HASH.fullmatch(definition):
        raise InvalidControl("definition", "is the hash of a definition that is stored")
    return MigrateCommand(given.process_id, definition, given.reason, given.request_id, given.actor)
