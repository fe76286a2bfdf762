"""What the address of a request may hold: process ids, and the query parameters that the route declares."""

import re
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

from api import problems as kinds
from api.problems import Problem

PROCESS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Parameters that may be given several times; of any other the second would be dropped in silence.
_REPEATABLE = frozenset({"status", "label"})


async def refuse_unknown_query(request: Request) -> None:
    """Refuse a query parameter that the route does not declare, or one that is given twice."""
    if not request.scope["query_string"]:
        return
    allowed = _declared(request.scope["route"])
    names = [name for name, _ in request.query_params.multi_items()]
    if any(name not in allowed for name in names):
        takes = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes none"
        raise Problem(kinds.BAD_QUERY, f"There is a query parameter that is unknown here; {takes}.")
    for name in allowed - _REPEATABLE:
        if names.count(name) > 1:
            raise Problem(kinds.BAD_QUERY, f"The query parameter {name} is given more than once.")


def bad_query(name: str, detail: str) -> Problem:
    """Make the refusal of one query parameter."""
    return Problem(kinds.BAD_QUERY, f"The query parameter {name} {detail}.", errors=[(f"/{name}", detail)])


def number(name: str, text: str | None, *, default: int, least: int, most: int) -> int:
    """Read a whole number from the query. Raises Problem outside its range."""
    if text is None:
        return default
    # Bounded before it is converted: the cost of int() grows with the square of the digits.
    if not (text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most):  # noqa: PLR2004
        raise bad_query(name, f"must be a whole number from {least} to {most}")
    return int(text)


def point_in_time(name: str, text: str | None) -> int | None:
    """Read an RFC 3339 time from the query as milliseconds. Raises Problem for anything else."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise bad_query(name, "must be a time such as 2026-11-24T12:00:00Z")
    try:
        return round(value.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise bad_query(name, "is out of range") from None


def process_id(process_id: Annotated[str, Path(description="The id of a process.")]) -> str:
    """Take the id from the path; what can't be an id is not found, and never reaches the store."""
    if not PROCESS_ID.fullmatch(process_id):
        raise Problem(kinds.NOT_FOUND, "There is no such process.")
    return process_id


ProcessId = Annotated[str, Depends(process_id)]


def _declared(route: object) -> frozenset[str]:
    if not isinstance(route, APIRoute):
        return frozenset()
    fields = get_flat_params(route.dependant)
    return frozenset(field.alias for field in fields if isinstance(field.field_info, params.Query))
