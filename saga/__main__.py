"""The `saga` command: finds the command line by name, because the domain must not know the ways in."""

import importlib
import os
import sys
from collections.abc import MutableSequence


def main() -> None:
    """Run the command line and exit with its code."""
    working_folder_last(sys.path)
    command_line = importlib.import_module("api.cli")
    sys.exit(command_line.run())


def working_folder_last(path: MutableSequence[str]) -> None:
    """Look in the working folder for what a person's definitions import, but only after our own packages.

    A folder `api/` of theirs would be taken for ours otherwise.
    """
    here = os.getcwd()  # noqa: PTH109 - compared as text with the entries of the path
    path[:] = [entry for entry in path if entry and os.path.realpath(entry) != os.path.realpath(here)]
    path.append(here)


if __name__ == "__main__":
    main()
