"""Give a frozen value with some of its members changed: what `dataclasses.replace` does, in half the time.

Every event makes a few such values. `replace` calls the constructor, which looks at each member by its name.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import TypeVar, cast

from saga.process.state import Attempt, Effort, ProcessState, StepState

T = TypeVar("T", Attempt, Effort, ProcessState, StepState)

_KINDS = (Attempt, Effort, ProcessState, StepState)
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}
_READ: Mapping[type, Callable[[object], tuple[object, ...]]] = {
    kind: cast("Callable[[object], tuple[object, ...]]", attrgetter(*names)) for kind, names in _NAMES.items()
}
# Each member's own slot: for everybody else a value is frozen.
_WRITE: Mapping[type, Mapping[str, Callable[[object, object], None]]] = {
    kind: {name: getattr(kind, name).__set__ for name in names} for kind, names in _NAMES.items()
}
_WRITE_ALL = {kind: tuple(by_name.values()) for kind, by_name in _WRITE.items()}


def with_changes(value: T, **changes: object) -> T:
    """Give a copy with these members. Raises KeyError for one that such a value doesn't have."""
    kind = type(value)
    copy = object.__new__(kind)
    for write, member in zip(_WRITE_ALL[kind], _READ[kind](value), strict=True):
        write(copy, member)
    by_name = _WRITE[kind]
    for name, member in changes.items():
        by_name[name](copy, member)
    return copy
