"""Read the pages: which there are, their headings, their links, and their blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
_FILE_NAME = re.compile(r"# (?P<name>[\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    """A block of code, and the output that the page shows right behind it."""

    language: str
    text: str
    shown: Block | None = None

    @property
    def file_name(self) -> str | None:
        """The file that it is to be saved as: its first line is a comment with the name."""
        match = _FILE_NAME.match(self.text)
        return match["name"] if match else None


def pages() -> list[Path]:
    """Give every page of the repository that is for people."""
    found = [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "saga").rglob("*.md"),
    ]
    hidden = (".pytest_cache",)  # pytest leaves a page of its own there
    return sorted(page for page in found if page.parent.name not in hidden)


def blocks(page: Path) -> list[Block]:
    """Give the blocks of a page; one of output right behind a command belongs to it."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _FENCE.finditer(text):
        block = Block(match["language"], match["text"])
        is_output = block.language in {"json", "text"} and not text[end : match.start()].strip()
        if found and is_output:
            found[-1] = Block(found[-1].language, found[-1].text, block)
        else:
            found.append(block)
        end = match.end()
    return found


def code(page: Path) -> list[str]:
    """Give every block of a page with its language."""
    return [
        f"{match['language']}\n{match['text']}" for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def headings(page: Path) -> list[str]:
    """Give the headings of a page, each with its level."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [match.group(0) for match in _HEADING.finditer(prose)]


def links(page: Path) -> Iterator[str]:
    """Give the targets of a page's links that stay in the repository."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in _LINK.finditer(prose):
        if "://" not in match["target"]:
            yield match["target"]


def anchor(heading: str) -> str:
    """Give the anchor that a heading gets where the pages are shown."""
    text = heading.lstrip("#").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
