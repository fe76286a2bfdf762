"""The parts of the adapters that need no server."""
