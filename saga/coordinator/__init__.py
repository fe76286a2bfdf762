"""The asynchronous shell around the pure machine."""
