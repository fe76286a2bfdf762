"""The image alone: how large it is, and how long it takes until it works."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.containers.telling import CheckError, check, say, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.containers.engine import Engine

IMAGE = "batuta:0.1.0"
_ALONE = "batuta-check-alone"
_BUILT_WITHIN_S = 600
_READY_WITHIN_S = 30


def build_image(engine: Engine, root: Path) -> None:
    """Build it from our Dockerfile as it is."""
    began_at = time.monotonic()
    engine("build", *engine.build_options, "--tag", IMAGE, ".", within_s=_BUILT_WITHIN_S, cwd=root)
    took = time.monotonic() - began_at
    size, base = (_megabytes(engine, image) for image in (IMAGE, _base(root)))
    say(f"built {IMAGE} in {took:.0f} s: {size} MB, of which {size - base} MB on top of its base image")


def run_alone(engine: Engine) -> None:
    """Run the image by itself on the embedded default, as hard as it goes, and stop it again."""
    with suppress(CheckError):  # of a run that was killed
        engine("rm", "--force", _ALONE)
    began_at = time.monotonic()
    engine(
        *("run", "--detach", "--name", _ALONE, "--read-only", "--cap-drop=ALL", "--network=none"),
        *("--security-opt=no-new-privileges", "--tmpfs=/tmp", f"--volume={_ALONE}:/var/lib/batuta"),
        *("--env", "SAGA_HTTP_HOST=127.0.0.1", IMAGE, "serve"),
    )
    try:
        wait_for(lambda: "ready at" in engine("logs", _ALONE), within_s=_READY_WITHIN_S, what="it is ready")
        took = time.monotonic() - began_at
        wait_for(lambda: engine.is_healthy(_ALONE), within_s=_READY_WITHIN_S, what="it is healthy")
        began_at = time.monotonic()
        engine("stop", _ALONE)
        stopped = time.monotonic() - began_at
        code = engine("inspect", "--format", "{{.State.ExitCode}}", _ALONE).strip()
        check(code == "0", f"the image ended with {code} after SIGTERM")
    except CheckError:
        say(engine("logs", _ALONE))
        raise
    finally:
        engine("rm", "--force", _ALONE)
        engine("volume", "rm", _ALONE)
    say(f"alone on its embedded default it was ready after {took:.1f} s, and stopped within {stopped:.1f} s")


def _base(root: Path) -> str:
    lines = (root / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line.startswith("FROM ")][-1]


def _megabytes(engine: Engine, image: str) -> int:
    return int(engine("image", "inspect", "--format", "{{.Size}}", image)) // 1_000_000
