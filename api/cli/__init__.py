"""The `saga` command. Data goes to stdout, everything else to stderr; the exit code says how it ended."""

from api.cli.app import run

__all__ = ["run"]
