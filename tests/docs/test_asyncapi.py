"""The AsyncAPI document before the official parser, which runs in Node."""

from __future__ import annotations

import json
import subprocess

import pytest

from saga.contract.asyncapi import asyncapi_document
from saga.definition.sources import load_definitions, parse_definition
from tests.support.node import ROOT, find_node
from tests.unit.contract.test_asyncapi import DEFINITION


@pytest.mark.acceptance
def test_the_official_parser_finds_no_fault() -> None:
    """Of a document without definitions, of the demo and the examples, and of all that can stand in one."""
    node = find_node()
    definitions = [
        [],
        [*load_definitions("api.demo.trip_booking"), *load_definitions(str(ROOT / "examples"))],
        [parse_definition(DEFINITION, source="test")],
    ]
    documents = [asyncapi_document(each, prefix="saga", version="0.1.0") for each in definitions]
    ran = subprocess.run(
        [node.node, "check_asyncapi.mjs"],
        cwd=node.installed(ROOT / "tests" / "node"),
        input="\n".join(map(json.dumps, [*documents, {**documents[0], "channels": {"x": {"messages": 7}}}])),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *verdicts, broken = map(json.loads, ran.stdout.splitlines())
    for document, verdict in zip(documents, verdicts, strict=True):
        faults = [each for each in verdict["diagnostics"] if each["severity"] <= 1]
        assert faults == []
        assert set(verdict["channels"]) == set(document["channels"])  # type: ignore[arg-type]  # an object
    assert broken["channels"] is None
