"""The cursor of a listing: where the next page begins, with a check that it belongs to these filters.

It is no secret: whoever forges a good one sees no more than with filters. The check only turns a damaged
cursor, or one of another listing, into a refusal instead of a page that leaves something out.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import replace

from api.query import bad_query
from saga.ports.projections import Position, ProjectionFilter

_CURSOR = re.compile(r"(?P<at>[0-9]{1,15}):(?P<id>[A-Za-z0-9_-]{1,64}):(?P<check>[0-9a-f]{16})")
_LENGTH_MAX = 200


def write_cursor(position: Position, chosen: ProjectionFilter) -> str:
    """Write the position as opaque text that is safe in an address."""
    text = f"{position.started_at}:{position.process_id}:{_check(position, chosen)}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str | None, chosen: ProjectionFilter) -> Position | None:
    """Read it back. Raises Problem for anything that was not written for these filters."""
    if text is None:
        return None
    match = _CURSOR.fullmatch(_decoded(text))
    if match is not None:
        position = Position(int(match["at"]), match["id"])
        # Compared in the written form, so that each position has one cursor only.
        if text == write_cursor(position, chosen):
            return position
    raise bad_query("cursor", "is not one that this service gave out for these filters")


def _decoded(text: str) -> str:
    if len(text) > _LENGTH_MAX or not text.isascii():
        return ""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _check(position: Position, chosen: ProjectionFilter) -> str:
    canonical = replace(chosen, statuses=tuple(sorted(chosen.statuses)), labels=tuple(sorted(chosen.labels)))
    return hashlib.sha256(f"{position!r} {canonical!r}".encode()).hexdigest()[:16]
