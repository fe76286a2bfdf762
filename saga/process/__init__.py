"""A running saga: the pure machine. Read README.md in this folder first."""
