"""Secrets by environment or, as containers get them, by file: `<NAME>_FILE` names the file with the value."""

from collections.abc import Mapping
from pathlib import Path

from saga.errors import SagaError

FILE = "_FILE"
BYTES_MAX = 65_536


class UnusableSecret(SagaError):  # noqa: N818 - says what is the case
    """Say which variable names no usable secret, and why; no part of a secret is in the sentence."""

    code = "unusable-secret"


def secret(environment: Mapping[str, str], name: str) -> str | None:
    """Give a secret, without the newline that ends its file; None if it isn't set. Raises UnusableSecret."""
    value, path = environment.get(name) or None, environment.get(name + FILE)
    if not path:
        return value
    if value is not None:
        raise UnusableSecret(f"{name} and {name}{FILE} are both set: set one of them")
    return _secret_in(name + FILE, Path(path))


def _secret_in(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise UnusableSecret(f"{variable}: {path} can't be read ({error.strerror})") from None
    if len(content) > BYTES_MAX:
        raise UnusableSecret(f"{variable}: {path} is larger than {BYTES_MAX} bytes; a secret is not")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UnusableSecret(f"{variable}: {path} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise UnusableSecret(f"{variable}: {path} is empty")
    if "\0" in text or "\n" in text:
        raise UnusableSecret(f"{variable}: {path} is not one line of text")
    return text
