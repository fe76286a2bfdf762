"""The contract for other programs."""
