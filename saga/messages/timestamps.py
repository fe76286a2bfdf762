"""Points in time on the wire: RFC 3339 in UTC with `Z` and milliseconds."""

from datetime import datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, and written as such


def rfc3339(at: int) -> str:
    """Write milliseconds since 1970 UTC."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds") + "Z"
