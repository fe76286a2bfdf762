"""One suite per port, run over every adapter: what the domain relies on, whatever stands behind it."""
