"""Every definition that the pages show can be loaded, and both spellings of one are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.definition.canonical import canonical_text
from saga.definition.model import SagaDefinition
from saga.definition.sources import checked, parse_definition
from tests.docs.pages import README, ROOT, blocks, pages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_definitions_on_the_pages_can_be_loaded(page: Path) -> None:
    """A block of YAML with a process type, and a block of Python that makes a Saga, pass all checks."""
    for block in blocks(page):
        if block.language == "yaml" and "process_type:" in block.text:
            parse_definition(block.text, source=page.name)
        elif block.language == "python" and " = Saga(" in block.text:
            assert _sagas(block.text)


def test_the_two_spellings_in_the_readme_are_the_same_definition() -> None:
    """YAML and Python give the same canonical text, so the same hash."""
    files = {block.file_name: block.text for block in blocks(README)}
    (in_python,) = _sagas(files["weekend.py"])
    in_yaml = parse_definition(files["weekend.yaml"], source="weekend.yaml")
    assert canonical_text(in_python) == canonical_text(in_yaml)


def _sagas(source: str) -> list[SagaDefinition]:
    names: dict[str, object] = {}
    exec(source, names)  # noqa: S102 - the page is ours
    found = [value for value in names.values() if isinstance(value, SagaDefinition)]
    return [checked(definition, source="page") for definition in found]
