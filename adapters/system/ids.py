"""Draw ids from the machine's randomness."""

import secrets

import uuid_utils


class SystemIds:
    """Implement `saga.ports.clock.Ids`."""

    def process_id(self) -> str:
        """Draw a UUIDv7: sortable by its time."""
        return str(uuid_utils.uuid7())

    def mark(self) -> str:
        """Draw 64 random bits."""
        return secrets.token_hex(8)
