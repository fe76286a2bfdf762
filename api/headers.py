"""What the headers of a request say: how long to wait, which key, which version is known."""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from api import problems as kinds
from api.problems import Problem

WAIT_SECONDS_MAX = 60
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_WAIT = re.compile(r"wait\s*=\s*\"?(?P<seconds>[^\s\"]*)\"?", re.IGNORECASE)
_DIGITS_MAX = 9


@dataclass(frozen=True, slots=True)
class Wait:
    """How long somebody is ready to wait, in seconds, and how to tell that it was heeded."""

    seconds: int

    @property
    def applied(self) -> dict[str, str]:
        """Give the header that says so."""
        return {"preference-applied": f"wait={self.seconds}"}


def preferred_wait(headers: Headers) -> Wait | None:
    """Read `Prefer: wait=N`, at most a minute. Raises Problem for a wait that is no number."""
    for preference in ",".join(headers.getlist("prefer")).split(","):
        token = preference.partition(";")[0].strip()
        if not token.lower().startswith("wait"):
            continue  # a preference that is not known is not obeyed, says RFC 7240
        match = _WAIT.fullmatch(token)
        digits = match["seconds"] if match else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
            raise Problem(kinds.BAD_HEADER, "The wait of Prefer must be a whole number of seconds.")
        return Wait(min(int(digits), WAIT_SECONDS_MAX))
    return None


def idempotency_key(headers: Headers) -> str | None:
    """Read `Idempotency-Key`. Raises Problem for one that is not well formed or given twice."""
    keys = headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise Problem(
            kinds.BAD_HEADER, "Idempotency-Key must be 1 to 128 visible ASCII characters, given once."
        )
    return keys[0]


def traceparent(headers: Headers) -> str | None:
    """Read `traceparent`; one that is damaged is left out, as W3C's recommendation says."""
    value = headers.get("traceparent")
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None


def etag(version: int) -> str:
    """Write a version as an entity tag."""
    return f'"{version}"'


def matches_version(headers: Headers, version: int) -> bool:
    """Say whether `If-Match` names this version, or is not given at all."""
    given = headers.getlist("if-match")
    tags = [tag.strip() for value in given for tag in value.split(",")]
    return not given or "*" in tags or etag(version) in tags


def knows_version(headers: Headers, version: int) -> bool:
    """Say whether `If-None-Match` names this version."""
    tags = [tag.strip() for value in headers.getlist("if-none-match") for tag in value.split(",")]
    return "*" in tags or any(tag.removeprefix("W/") == etag(version) for tag in tags)
