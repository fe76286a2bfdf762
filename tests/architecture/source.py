"""The Python files of the repository, parsed, for the tests of this folder."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("saga", "adapters", "api", "tests", "benchmarks", "examples")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file with its text and its tree; `str()` is its path in the repository."""

    path: Path
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    def imports(self) -> set[str]:
        """The full names of the modules that this file imports."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                package = list(self.path.relative_to(ROOT).parent.parts)
                start = package[: len(package) - node.level + 1] if node.level else []
                found.add(".".join([*start, *([node.module] if node.module else [])]))
        return found


def source_files(*folders: str) -> list[SourceFile]:
    """Parse all Python files below these folders of the repository, in order of their paths."""
    return list(_parse(folders))


def _parse(folders: tuple[str, ...]) -> Iterator[SourceFile]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield SourceFile(path, text, ast.parse(text))
