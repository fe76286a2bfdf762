"""Points in time on the wire: RFC 3339 in UTC with `Z` and milliseconds."""

from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """Write milliseconds since 1970 UTC."""
    seconds, millis = divmod(at, 1000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=millis * 1000, tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"
