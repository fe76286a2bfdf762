"""The version of this distribution."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("batuta")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0+unknown"


VERSION = _installed()
