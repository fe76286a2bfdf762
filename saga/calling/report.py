"""How a service looks from a process that calls it, as it is told to other processes."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class AddressReport:
    """Hold what the last calls to one address showed; the durations are of those that were answered well."""

    url: str
    state: str
    returns_in_s: float | None
    outstanding: int
    limit: int
    calls: int
    succeeded: int
    median_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """Hold what one process knows of a service; `waiting` counts the commands that it could not send yet."""

    service: str
    breaker: str
    waiting: int
    addresses: tuple[AddressReport, ...]


_REPORTS = TypeAdapter(tuple[ServiceReport, ...])


def write_reports(reports: Sequence[ServiceReport]) -> str:
    """Write the reports of one process as JSON."""
    return _REPORTS.dump_json(tuple(reports)).decode()


def read_reports(text: str) -> Sequence[ServiceReport]:
    """Read what `write_reports` wrote, also where a later version said more. Raises ValueError."""
    return _REPORTS.validate_json(text)
