"""How a command ends: its exit code, and the error that carries one."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; scripts rely on them."""

    WELL = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_COMPLETED = 4
    TIMED_OUT = 5
    NOT_REACHABLE = 6


class CommandError(Exception):
    """End the command with a code; the message goes to stderr."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
