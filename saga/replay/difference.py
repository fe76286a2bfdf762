"""What differs between two values of the domain, field by field, named as a person would point at it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import cast

from saga.messages.json_text import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold one field that differs after event `sequence`: what follows from the log, and what was found."""

    sequence: int
    field: str
    log: Json
    found: Json

    def document(self) -> JsonObject:
        """Write it for people and programs."""
        return {"sequence": self.sequence, "field": self.field, "log": self.log, "found": self.found}


def differences(sequence: int, log: object, found: object, *, within: str = "") -> Iterator[Difference]:
    """Compare two values, and give the innermost fields that differ, in order."""
    for field, left, right in _unequal(plain(log), plain(found), within):
        yield Difference(sequence, field, left, right)


def plain(value: object) -> Json:
    """Write a value of the domain as JSON, its members by their names; sets are sorted."""
    match value:
        case Mapping():
            return {str(key): plain(member) for key, member in value.items()}
        case tuple() | list():
            return [plain(member) for member in value]
        case frozenset():
            return [plain(member) for member in sorted(value, key=str)]
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case str():
            return str(value)
        case bool():
            return value
        case int():
            return int(value)  # drivers have numbers of their own, which equal ours and are of another type
        case _:
            return cast("Json", value)


def _unequal(log: Json, found: Json, path: str) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(log, dict) and isinstance(found, dict):
        for name in (*log, *(name for name in found if name not in log)):
            within = f"{path}.{name}" if path else name
            yield from _unequal(log.get(name), found.get(name), within)
    elif isinstance(log, list) and isinstance(found, list) and len(log) == len(found):
        for index, (left, right) in enumerate(zip(log, found, strict=True)):
            yield from _unequal(left, right, f"{path}[{index}]")
    elif log != found or type(log) is not type(found):
        yield path, log, found
