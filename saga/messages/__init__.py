"""The wire contract in plain JSON."""
