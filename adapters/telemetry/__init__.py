"""Watch the coordinator: metrics, and the named points where tests kill it."""
