"""The README in Spanish keeps step with the one in English."""

from __future__ import annotations

from tests.docs.pages import README, ROOT, code, headings

SPANISH = ROOT / "README.es.md"


def test_the_spanish_readme_has_the_same_code() -> None:
    """Every block of code is the same, word for word."""
    assert code(SPANISH) == code(README)


def test_the_spanish_readme_has_the_same_headings() -> None:
    """It has as many headings, on the same levels in the same order."""
    assert [_level(heading) for heading in headings(SPANISH)] == [
        _level(heading) for heading in headings(README)
    ]


def _level(heading: str) -> int:
    return len(heading) - len(heading.lstrip("#"))
