"""Links inside the pages lead to files and headings that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, anchor, headings, links, pages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A link names a file of the repository, and where it has an anchor, a heading in it."""
    broken = [target for target in links(page) if not _exists(page, target)]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    """A reader finds each page by following links."""
    reached = {ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        for target in links(page):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file.suffix == ".md" and file not in reached:
                reached.add(file)
                waiting.append(file)
    assert [str(page.relative_to(ROOT)) for page in pages() if page not in reached] == []


def _exists(page: Path, target: str) -> bool:
    name, _, fragment = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists() or not file.is_relative_to(ROOT):
        return False
    return not fragment or fragment in {anchor(heading) for heading in headings(file)}
