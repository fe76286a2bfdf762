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
_Read = Callable[[object], tuple[object, ...]]
_Write = Callable[[object, object], None]


def _members_of(kind: type) -> tuple[_Read, tuple[_Write, ...], Mapping[str, _Write]]:
    """Give how all members are read at once, and how each is written: for everybody else a value is frozen."""
    names = tuple(field.name for field in fields(kind))
    by_name = {name: getattr(kind, name).__set__ for name in names}
    return cast("_Read", attrgetter(*names)), tuple(by_name.values()), by_name


_MEMBERS = {kind: _members_of(kind) for kind in _KINDS}
_new = object.__new__


def with_changes(value: T, **changes: object) -> T:
    """Give a copy with these members. Raises KeyError for one that such a value doesn't have."""
    kind = type(value)
    read, write_all, write_by_name = _MEMBERS[kind]
    copy = _new(kind)
    for write, member in zip(write_all, read(value), strict=True):
        write(copy, member)
    for name, member in changes.items():
        write_by_name[name](copy, member)
    return copy
