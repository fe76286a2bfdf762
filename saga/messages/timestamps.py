"""Points in time on the wire: RFC 3339 in UTC with `Z` and milliseconds."""

from datetime import datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, and written as such
# The year 8000: a process of a thousand steps of a year each ends before the calendar does, in 9999.
_END = 190_288_396_800_000


def rfc3339(at: int) -> str:
    """Write milliseconds since 1970 UTC."""
    seconds, milliseconds = divmod(at, 1_000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=1_024)  # most of what is written at one time is of the same few seconds
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def is_point_in_time(at: int) -> bool:
    """Say whether a number can be milliseconds since 1970 UTC that one may reckon with."""
    return 0 <= at < _END
