"""Draw ids from the machine's randomness."""

import itertools
import secrets

import uuid_utils


class SystemIds:
    """Implement `saga.ports.clock.Ids`."""

    def __init__(self) -> None:
        # Drawn once: a read of the machine's randomness for every write would cost more than the counter.
        self._writer = secrets.token_hex(8)
        self._writes = itertools.count(1)

    def process_id(self) -> str:
        """Draw a UUIDv7: sortable by its time."""
        return str(uuid_utils.uuid7())

    def mark(self) -> str:
        """Give a mark that no other write of any server has."""
        return f"{self._writer}-{next(self._writes)}"
