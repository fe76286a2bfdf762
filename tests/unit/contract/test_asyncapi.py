"""The AsyncAPI document: a channel per service, and in its messages all that is known of their parameters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator

from saga.contract.asyncapi import Server, asyncapi_document
from saga.definition.sources import parse_definition

if TYPE_CHECKING:
    from saga.messages.json_text import JsonObject

DEFINITION = """
process_type: order
parameters:
  type: object
  required: [item, address]
  properties:
    item: {$ref: '#/$defs/item'}
    address: {type: object, required: [street], properties: {street: {type: string}, door: {type: integer}}}
  $defs:
    item: {type: string, minLength: 1}
steps:
  - {name: reserve, service: stock, action: reserve, compensation: release}
  - name: charge
    service: payment
    action: charge
    compensation: {action: refund, input: {receipt: results.reserve.receipt}}
    verify: status
    input: {street: parameters.address.street, door: parameters.address.door, total: 'results.reserve.total'}
  - {name: approval, signal: true}
  - {name: ship, service: stock, action: ship, compensation: none, for_each: 'results.reserve.parcels'}
"""


def _document(text: str = DEFINITION, **more: Any) -> Any:
    return asyncapi_document([parse_definition(text, source="test")], prefix="saga", version="1", **more)


def _message(document: Any, name: str) -> Any:
    return document["components"]["messages"][name]["payload"]["allOf"][1]["properties"]


def _is_valid(document: Any, name: str, body: JsonObject) -> bool:
    """Judge a body by a message of the document, with the references into the document."""
    payload = document["components"]["messages"][name]["payload"]
    whole = cast("dict[str, Any]", {"components": document["components"], **payload})
    return bool(Draft202012Validator(whole).is_valid(body))


def test_each_service_has_the_channel_of_its_queue() -> None:
    """With a message for each action, undo and question of its steps; a signal is nobody's command."""
    document = _document()
    channels = document["channels"]
    assert {name for name in channels if name.startswith("saga.step.")} == {
        "saga.step.stock",
        "saga.step.payment",
    }
    assert set(channels["saga.step.stock"]["messages"]) == {
        "order.reserve.action", "order.reserve.compensation", "order.ship.action",
    }  # fmt: skip
    assert set(channels["saga.step.payment"]["messages"]) == {
        "order.charge.action", "order.charge.compensation", "order.charge.verify",
    }  # fmt: skip
    assert channels["saga.step.stock"]["address"] == "saga.step.stock"
    assert document["operations"]["order_stock"]["reply"]["channel"]["$ref"] == "#/channels/replies"


def test_parameters_are_those_of_the_process_or_of_the_mapping() -> None:
    """What is copied from the parameters keeps its schema, and may be null where it may be missing."""
    document = _document()
    whole = _message(document, "order.reserve.action")
    assert whole["parameters"] == {"$ref": "#/components/schemas/order.parameters"}
    assert whole["results"]["properties"] == {}
    mapped = _message(document, "order.charge.action")["parameters"]
    assert mapped["required"] == ["street", "door", "total"]
    assert mapped["properties"]["street"] == {"description": "`parameters.address.street`", "type": "string"}
    assert mapped["properties"]["door"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert mapped["properties"]["total"] == {"description": "`results.reserve.total`"}
    undo = _message(document, "order.charge.compensation")["parameters"]
    assert undo["required"] == ["receipt"]
    assert set(_message(document, "order.ship.action")["results"]["properties"]) == {
        "reserve", "charge", "approval",
    }  # fmt: skip


def test_a_start_is_judged_by_the_schema_of_its_type() -> None:
    """References of a definition's own schema lead to where it stands in the document."""
    document = _document()
    good: JsonObject = {
        "process_type": "order",
        "parameters": {"item": "lamp", "address": {"street": "Main"}},
    }
    assert _is_valid(document, "order.start", good)
    assert not _is_valid(document, "order.start", {**good, "process_type": "other"})
    assert not _is_valid(document, "order.start", {**good, "parameters": {"item": "", "address": {}}})


def test_a_schema_that_can_not_stand_elsewhere_is_only_named() -> None:
    """Its own ids and anchors would mean something else inside of the document."""
    text = DEFINITION.replace("item: {$ref: '#/$defs/item'}", "item: {$ref: '#thing'}").replace(
        "item: {type: string, minLength: 1}", "item: {$anchor: thing, type: string}"
    )
    document = _document(text)
    parameters = _message(document, "order.reserve.action")["parameters"]
    assert parameters == {"type": "object", "description": "See GET /process-type/order."}
    assert "order.parameters" not in document["components"]["schemas"]


def test_every_name_begins_with_the_prefix() -> None:
    """Exchanges and queues; and the server is named only where there is one."""
    definition = parse_definition(DEFINITION, source="test")
    document: Any = asyncapi_document(
        [definition], prefix="shop", version="1", server=Server("mq.example:5671", "amqps")
    )
    assert "shop.step.stock" in document["channels"]
    assert "saga." not in json.dumps(document["channels"])
    assert document["servers"] == {"broker": {"host": "mq.example:5671", "protocol": "amqps"}}
    assert "servers" not in _document()


def test_every_reference_leads_somewhere() -> None:
    """No message, channel or schema is named that isn't there."""
    document = _document()
    for reference in [part.split('"')[0] for part in json.dumps(document).split('"$ref": "')[1:]]:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
