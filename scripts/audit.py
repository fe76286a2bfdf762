"""Look for known vulnerabilities in the packages of uv.lock.

Finding one is an error. Where the index can't be asked, or doesn't know a package, that is a warning: then
this run has proven nothing, and the next one elsewhere will.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_TIMEOUT_S = 120


def main() -> int:
    """Audit all groups of the lock file; 1 when a vulnerability is known."""
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder) / "packages.txt"
        export: list[str | Path] = [
            ROOT / ".venv/share/uv/bin/uv",
            "export",
            "--quiet",
            "--frozen",
            "--all-groups",
        ]
        _run([*export, "--no-emit-project", "--output-file", packages])
        audit: list[str | Path] = [
            Path(sys.executable).parent / "pip-audit",
            "--disable-pip",
            "--require-hashes",
        ]
        audit += ["--progress-spinner", "off", "--timeout", "20", "--format", "json"]
        done = _run([*audit, "--requirement", packages])
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"warning: the packages could not be audited: {reason}", file=sys.stderr)
        return 0
    return _report(dependencies)


def _report(dependencies: list[dict[str, Any]]) -> int:
    found = [
        f"{package['name']} {package['version']}: {known['id']}, "
        f"fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
        for package in dependencies
        for known in package.get("vulns", ())
    ]
    skipped = sum("skip_reason" in package for package in dependencies)
    if skipped:
        said = f"warning: the index knows nothing about {skipped} of {len(dependencies)} packages"
        print(said, file=sys.stderr)
    if found:
        print("known vulnerabilities:", *found, sep="\n  ", file=sys.stderr)
        return 1
    if skipped < len(dependencies):
        print(f"audit: no known vulnerability in {len(dependencies) - skipped} packages")
    return 0


def _run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_TIMEOUT_S} s")


if __name__ == "__main__":
    sys.exit(main())
