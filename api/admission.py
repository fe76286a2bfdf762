"""How many starts may be under way at once; beyond that a caller is told to come again."""

import contextlib
from collections.abc import Iterator

from api import problems as kinds
from api.problems import retry_later

STARTS_UNDER_WAY_MAX = 500


class Admission:
    """Count what is under way and refuse what is too much."""

    def __init__(self, most: int = STARTS_UNDER_WAY_MAX) -> None:
        self._most = most
        self._under_way = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Let one in for as long as the block runs. Raises Problem when there are too many."""
        if self._under_way >= self._most:
            raise retry_later(kinds.TOO_MANY_REQUESTS, "Too many starts are under way at this moment.")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
