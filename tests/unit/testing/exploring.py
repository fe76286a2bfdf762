"""Small definitions to explore, by what they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga.definition.sources import parse_definition

if TYPE_CHECKING:
    from saga.definition.model import SagaDefinition
    from saga.messages.json_text import JsonObject

_HEAD = "process_type: explored\ntimeout: 5\n"
_RETRY = "retry: {attempts: 2, backoff: 1, jitter: 0}\n"

PARAMETERS: JsonObject = {"list": [1, 2], "key": "k", "other": "o"}
_SMALL = {
    "sequence": """steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: b, service: s, action: do, compensation: undo}
""",
    "fork": """retry: {attempts: 1}
steps:
  - {name: a, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
  - {name: b, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
""",
    "pivot": """steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: p, service: s, action: do, pivot: true}
  - {name: z, service: s, action: do}
""",
    "items": """steps:
  - {name: a, service: s, action: do, compensation: undo}
  - name: e
    service: s
    action: do
    compensation: undo
    for_each: parameters.list
    at_once: 1
    retry: {attempts: 1}
""",
    "items at once": """retry: {attempts: 1}
steps:
  - name: e
    service: s
    action: do
    compensation: {action: undo, retry: {attempts: 1}}
    for_each: parameters.list
""",
    "join": """retry: {attempts: 1}
steps:
  - {name: a, service: s, action: do, compensation: {action: undo, retry: {attempts: 1}}, after: []}
  - {name: b, service: s, action: do, compensation: none, after: []}
  - name: c
    service: s
    action: do
    compensation: {action: undo, retry: {attempts: 1}}
    after: [a, b]
    join: any
""",
    "signal": """steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: go, signal: true, timeout: 60}
""",
    "question": """steps:
  - {name: a, service: s, action: do, compensation: undo, verify: {action: ask, fences: true}}
""",
    "question without a fence": """steps:
  - {name: a, service: s, action: do, compensation: undo, verify: {action: ask, retry: {attempts: 1}}}
""",
    "deadline": """deadline: 100
steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: go, signal: true, timeout: 60}
""",
    "condition": """steps:
  - {name: a, service: s, action: do, compensation: undo, after: []}
  - {name: b, service: s, action: do, compensation: undo, when: parameters.nothing}
  - {name: c, service: s, action: do, compensation: undo, after: [b], join: any}
""",
    "child": """steps:
  - {name: a, service: s, action: do, compensation: undo}
  - {name: k, process: other, timeout: 30, input: {x: parameters.key}, retry: {attempts: 2}}
""",
    "lock": """locks: [parameters.key]
steps:
  - {name: a, service: s, action: do, compensation: undo}
""",
    "lock and deadline": """deadline: 100
locks: [parameters.key, parameters.other]
steps:
  - {name: a, service: s, action: do, compensation: undo}
""",
    "lock that is joined": """locks: [parameters.key]
on_locked: join
steps:
  - {name: a, service: s, action: do, compensation: undo}
""",
}

NAMES = tuple(_SMALL)


def definition(text: str) -> SagaDefinition:
    """Read the rest of a definition, from its retry policy on."""
    head = _HEAD if text.startswith("retry:") else _HEAD + _RETRY
    return parse_definition(head + text, source="test")


def small(name: str) -> SagaDefinition:
    """Give one of the small definitions."""
    return definition(_SMALL[name])
