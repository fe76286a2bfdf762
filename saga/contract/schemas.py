"""The JSON Schemas (draft 2020-12) of the messages, made from their models; each document stands alone."""

from collections.abc import Mapping
from types import MappingProxyType, UnionType
from typing import cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from saga.contract import messages
from saga.contract.log_entries import entry_schema, event_class
from saga.coordinator.outgoing import LIFE_WORDS
from saga.messages.json_text import Json, JsonObject
from saga.process import codec
from saga.process import events as ev

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PATH = "/schemas"

_MODELS: Mapping[str, type[BaseModel]] = {
    "action_command": messages.ActionCommand,
    "compensation_command": messages.CompensationCommand,
    "verify_command": messages.VerifyCommand,
    "completed_reply": messages.CompletedReply,
    "failed_reply": messages.FailedReply,
    "progress_reply": messages.ProgressReply,
    "process_start": messages.ProcessStart,
    "process_request": messages.ProcessRequest,
    "process_migrate": messages.ProcessMigrate,
    "sent_headers": messages.SentHeaders,
    "life_headers": messages.LifeHeaders,
    "dead_letter_headers": messages.DeadLetterHeaders,
}
PROCESS_EVENTS = "process_event"
STEP_EVENTS = "step_event"


class _WithoutTitles(GenerateJsonSchema):
    """Leave out the titles that only repeat the names of the members."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the library's signature
        return False


def _of_model(name: str, model: type[BaseModel]) -> JsonObject:
    schema = cast("JsonObject", model.model_json_schema(schema_generator=_WithoutTitles))
    parts = schema.get("$defs")
    for part in (schema, *(parts.values() if isinstance(parts, dict) else ())):
        # That unknown members are ignored is what a schema says by saying nothing.
        cast("JsonObject", part).pop("additionalProperties", None)
    return {"$schema": DIALECT, "$id": f"{PATH}/{name}.json", **schema}


def _of_events(name: str, description: str, *kinds: type | UnionType) -> JsonObject:
    """Describe life events: entries of the log with the process beside them."""
    names = [each for each in codec.EVENT_NAMES if issubclass(event_class(each), kinds)]
    entries: JsonObject = {each: _life_entry(each) for each in names}
    return {
        "$schema": DIALECT,
        "$id": f"{PATH}/{name}.json",
        "description": description,
        "oneOf": [{"$ref": f"#/$defs/{each}"} for each in names],
        "$defs": entries,
    }


def _life_entry(name: str) -> JsonObject:
    entry = cast("JsonObject", _opened(entry_schema(name)))
    required, properties = cast("list[Json]", entry["required"]), cast("JsonObject", entry["properties"])
    process_id: JsonObject = {"type": "string", "description": "The process."}
    return {
        **entry,
        "required": [*required, "process_id"],
        "properties": {**properties, "process_id": process_id},
    }


def _opened(schema: Json) -> Json:
    """Allow members that are not known yet: events only grow, and their readers must bear it."""
    if isinstance(schema, list):
        return [_opened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: _opened(part)
        for word, part in schema.items()
        if not (word == "additionalProperties" and part is False)
    }


SCHEMAS: Mapping[str, JsonObject] = MappingProxyType(
    {
        **{name: _of_model(name, model) for name, model in _MODELS.items()},
        PROCESS_EVENTS: _of_events(PROCESS_EVENTS, "A change of a process.", *LIFE_WORDS),
        STEP_EVENTS: _of_events(STEP_EVENTS, "A change of a step.", ev.AttemptEvent, ev.StepEvent),
    }
)
