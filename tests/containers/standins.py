"""Stand-ins for the official images, made of Debian and of packages, where no image can be pulled.

They bear the names that our Dockerfile and compose file ask for, which know nothing of them. docs/deploy.md says
what differs. They stay in podman's storage, so that only the first run makes them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.containers.engine import run
from tests.containers.telling import CheckError, say

if TYPE_CHECKING:
    from tests.containers.engine import Engine

_FOLDER = Path(__file__).parent / "standins"
_DEBIAN = "localhost/standin-debian:trixie"
_RELEASE = "trixie"
# A machine may reach the registries by a certificate authority of its own; its containers need it too.
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_TOOLS_THAT_ASK = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
_FOR_DEBIAN_S = 600
_FOR_IMAGE_S = 600


def make_stand_ins(engine: Engine, root: Path) -> None:
    """Make those that are missing or whose files have changed. Raises CheckError."""
    if not _exists(engine, _DEBIAN):
        _make_debian(engine, root / ".containers" / "debian")
    for image in _images_named_by(root):
        folder = _FOLDER / image.partition(":")[0].rpartition("/")[2]
        if not folder.is_dir():
            say(f"  there is no stand-in for {image}: what uses it is not run")
            continue
        say(f"  a stand-in for {image}")
        engine(
            *("build", *engine.build_options, "--tag", _full_name(image), str(folder)),
            within_s=_FOR_IMAGE_S,
        )


def _images_named_by(root: Path) -> list[str]:
    compose: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    bases = re.findall(r"^FROM (\S+)", (root / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    services = [service["image"] for service in compose["services"].values() if "build" not in service]
    return sorted({*bases, *services})


def _full_name(image: str) -> str:
    return f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"


def _make_debian(engine: Engine, folder: Path) -> None:
    say(f"  Debian {_RELEASE}, which the stand-ins are made on (a minute) ...")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        debootstrap = ["debootstrap", "--variant=minbase", "--include=ca-certificates", _RELEASE, str(folder)]
        run(debootstrap, within_s=_FOR_DEBIAN_S)
        certificates = Path("/", _CERTIFICATES)
        if certificates.exists():
            shutil.copyfile(certificates, folder / _CERTIFICATES)
        for package in (folder / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        archive = folder.with_suffix(".tar")
        run(
            ["tar", "--directory", str(folder), "--create", "--file", str(archive), "."],
            within_s=_FOR_DEBIAN_S,
        )
        changes = [f"--change=ENV {name}=/{_CERTIFICATES}" for name in _TOOLS_THAT_ASK]
        engine("import", *changes, str(archive), _DEBIAN, within_s=_FOR_DEBIAN_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".tar").unlink(missing_ok=True)


def _exists(engine: Engine, image: str) -> bool:
    try:
        engine("image", "exists", image)
    except CheckError:
        return False
    return True
