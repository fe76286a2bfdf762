"""Durations as people write them: seconds as a number, or ISO 8601 (`PT1M30S`, `P1DT2H`)."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_ISO_8601 = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,3})?)S)?)?",
    re.ASCII,
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
YEAR_S = 366 * 86_400


def parse_duration(value: object) -> object:
    """Turn ISO 8601 text into seconds; anything else is left for the model to judge."""
    if not isinstance(value, str):
        return value
    match = _ISO_8601.fullmatch(value)
    if match is None or not any(match.groupdict().values()):
        raise ValueError("not a duration: give seconds as a number, or ISO 8601 such as PT30S")
    return sum(float(match[unit]) * factor for unit, factor in _SECONDS.items() if match[unit])


Seconds = Annotated[
    float, BeforeValidator(parse_duration), Field(ge=0, le=YEAR_S, allow_inf_nan=False, strict=True)
]
PositiveSeconds = Annotated[
    float, BeforeValidator(parse_duration), Field(ge=0.001, le=YEAR_S, allow_inf_nan=False, strict=True)
]
