"""The process types of these tests, as a user would write them, and what becomes of a scripted process."""

from __future__ import annotations

from typing import Any

from tests.support.scripted_participant import services_of

_PARAMETERS = {
    "type": "object",
    "properties": {"script": {"type": "object"}, "document_id": {"type": "string"}, "analysis_level": {}},
    "additionalProperties": False,
}
# Patient: a healthy step may wait for a killed coordinator or broker without being given up.
_PATIENT: dict[str, Any] = {
    "parameters": _PARAMETERS,
    "timeout": 60,
    "retry": {"attempts": 3, "backoff": 0.1, "factor": 2, "max_backoff": 1, "jitter": 0.1},
}


def _step(name: str, service: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "service": service, "action": f"do_{name}", "compensation": f"undo_{name}", **more}


DOCUMENT_ANALYSIS: dict[str, Any] = _PATIENT | {
    "process_type": "document_analysis",
    "steps": [
        {"name": "ingestion", "service": "ingestion", "action": "ingest", "compensation": "discard"},
        {"name": "analysis", "service": "analysis", "action": "analyze", "compensation": "forget"},
        {"name": "indexing", "service": "indexing", "action": "index", "compensation": "remove"},
    ],
}

# Three at once, then the point of no return, then one more.
TRIP: dict[str, Any] = _PATIENT | {
    "process_type": "trip",
    "steps": [
        _step("hotel", "hotel", after=[]),
        _step("car", "car", after=[]),
        _step("flight", "flight", after=[]),
        {
            "name": "payment", "service": "payment", "action": "charge", "pivot": True,
            "after": ["hotel", "car", "flight"],
        },
        {"name": "ticket", "service": "hotel", "action": "issue", "after": ["payment"]},
    ],
}  # fmt: skip

DIAMOND: dict[str, Any] = _PATIENT | {
    "process_type": "diamond",
    "steps": [
        _step("top", "ingestion", after=[]),
        _step("left", "analysis", after=["top"]),
        _step("right", "indexing", after=["top"]),
        _step("bottom", "car", after=["left", "right"]),
        {"name": "aside", "service": "flight", "action": "note", "compensation": "none", "after": ["left"]},
        _step("end", "flight", after=["bottom", "aside"]),
    ],
}

# One step that may not take longer than a second, between two that may.
HASTY: dict[str, Any] = _PATIENT | {
    "process_type": "hasty",
    "steps": [
        _step("before", "ingestion"),
        _step("quick", "analysis", timeout=1, retry={"attempts": 1}),
        _step("after", "indexing"),
    ],
}
for _one in HASTY["steps"]:
    _one["compensation"] = {
        "action": f"undo_{_one['name']}",
        "timeout": 60,
        "retry": {"attempts": 4, "backoff": 0.1},
    }

# A pivot that may not take longer than a second.
HASTY_PIVOT: dict[str, Any] = _PATIENT | {
    "process_type": "hasty_pivot",
    "steps": [
        _step("before", "hotel"),
        {
            "name": "pay", "service": "payment", "action": "charge", "pivot": True,
            "timeout": 1, "retry": {"attempts": 1},
        },
    ],
}  # fmt: skip

# One step that is tried again after long pauses.
RELUCTANT: dict[str, Any] = _PATIENT | {
    "process_type": "reluctant",
    "steps": [_step("only", "ingestion", retry={"attempts": 20, "backoff": 1, "factor": 1})],
}

ALL = (DOCUMENT_ANALYSIS, TRIP, DIAMOND, HASTY, HASTY_PIVOT, RELUCTANT)
SERVICES = services_of(ALL)

# Type, script, and the end that it must come to: what the mixed loads of the fault tests are made of.
MIX: tuple[tuple[str, dict[str, str], str], ...] = (
    ("document_analysis", {}, "completed"),
    ("document_analysis", {"analysis": "fail:1"}, "completed"),
    ("document_analysis", {"indexing": "refuse"}, "compensated"),
    ("trip", {}, "completed"),
    ("trip", {"car": "twice", "flight": "fail:2"}, "completed"),
    ("trip", {"payment": "refuse"}, "compensated"),
    ("trip", {"car": "refuse", "undo_hotel": "fail:2"}, "compensated"),
    # With several coordinators either answer may be taken first; whichever it is, the other changes no more.
    ("diamond", {"left": "contradict"}, "completed|compensated"),
    ("diamond", {"end": "refuse", "undo_right": "fail:1"}, "compensated"),
    ("diamond", {"bottom": "fail:9"}, "compensated"),
    ("hasty", {"quick": "silent"}, "compensated"),
    ("hasty_pivot", {"pay": "silent"}, "suspended"),
)

# The request that the contract answers to the letter.
EXAMPLE = {
    "process_type": "document_analysis",
    "parameters": {"document_id": "doc123", "analysis_level": "full"},
}
