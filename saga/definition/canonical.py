"""The one written form of a definition, and its hash: what a process pins when it starts."""

import hashlib
from typing import cast

from saga.definition.model import SagaDefinition
from saga.messages.json_text import Json, JsonText, from_text, to_canonical_text


def canonical_text(definition: SagaDefinition) -> JsonText:
    """Write a definition with sorted keys and without what was left out.

    Both spellings of a definition give the same text, and a later word of the language, left out, does not
    change it: so an upgrade of Batuta makes no new version of an unchanged definition.
    """
    document = cast("Json", definition.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    return to_canonical_text(document)


def definition_hash(text: str) -> str:
    """Give the hash of a canonical text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def from_canonical_text(text: str) -> SagaDefinition:
    """Read a stored definition back; it was checked before it was stored."""
    return SagaDefinition.model_validate(from_text(text))
