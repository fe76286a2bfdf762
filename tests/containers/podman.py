"""podman where there is no Docker engine: its storage, and a machine within the machine for the run.

All that podman keeps lies in the folder `.containers` of the repository, which may be removed at any time. The
containers run in namespaces of their own for processes, network and mounts: whatever happens to the run, the
kernel takes away with it what it started, its bridges and its firewall rules.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.containers.engine import Engine, run
from tests.containers.telling import CheckError, began, say

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLEANED_UP_WITHIN_S = 120
INSIDE = "BATUTA_CONTAINERS_INSIDE"
_PACKAGES = (
    *("podman", "runc", "netavark", "aardvark-dns", "iptables", "nftables"),
    *("debootstrap", "ca-certificates", "iproute2"),
)
# crun refuses the mix of both kinds of cgroups that some machines have; runc takes it.
_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
cgroups = "no-conmon"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{run}/libpod"
[network]
network_backend = "netavark"
network_config_dir = "{kept}/networks"
"""
_STORAGE_CONF = """\
[storage]
driver = "{driver}"
graphroot = "{kept}/storage"
runroot = "{run}/storage"
"""
_REGISTRIES_CONF = """\
unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
"""


def podman(root: Path) -> Engine:
    """Give podman with its folders below `root`; gets Debian's packages where they are missing."""
    if os.geteuid() != 0:
        raise CheckError("no Docker engine answers `docker info`; to use podman instead, run this as root")
    if not all(map(shutil.which, ("podman", "runc", "debootstrap", "nft", "ip"))):
        say("getting podman and what it needs (Debian's packages, a minute or so) ...")
        script = root / "scripts" / "debian-package"
        if subprocess.run([script, *_PACKAGES], stdin=subprocess.DEVNULL, check=False).returncode:
            raise CheckError(f"install Docker, or podman by: apt-get install {' '.join(_PACKAGES)}")
    kept = root / ".containers"
    conf = _configured(kept, _run_folder(root))
    return Engine(
        name="podman",
        command="podman",
        compose=(sys.executable, "-m", "podman_compose"),
        environment={
            "CONTAINERS_CONF": str(conf / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(conf / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(conf / "registries.conf"),
            "DISABLE_HC_SYSTEMD": "true",  # no systemd is needed to run the health checks: the run does it
            "BUILDAH_FORMAT": "docker",  # the other format has no health check
        },
        build_options=("--isolation", "chroot", "--network", "host", "--pull=never"),
        can_pull=False,
        checks_health_itself=False,
        after_start=steady_bridges,
        keeps_nameless_volumes=True,
    )


def run_inside() -> int:
    """Run this module again in namespaces of its own, give its exit code, and end it where this one ends."""
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # where this process is killed, all inside ends too
        *("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"),
        *(sys.executable, "-m", "tests.containers"),
    ]
    child = subprocess.Popen(command, env=os.environ | began() | {INSIDE: "yes"})
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            _end(child)


def _end(unshare: subprocess.Popen[bytes]) -> None:
    """Let what runs inside clean up for a while; `unshare` itself passes no signal on."""
    for child in Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text(encoding="ascii").split():
        os.kill(int(child), signal.SIGTERM)
    try:
        unshare.wait(_CLEANED_UP_WITHIN_S)
    except subprocess.TimeoutExpired:
        unshare.kill()  # and the kernel ends everything inside
        unshare.wait()


def furnish_namespaces() -> None:
    """Give the new namespaces what a machine has: a loopback that is up, and a /run of its own."""
    run(["ip", "link", "set", "lo", "up"])
    run(["mount", "-t", "tmpfs", "tmpfs", "/run"])


def steady_bridges() -> None:
    """Give each bridge the hardware address that it has just now, for good.

    Else it takes another whenever the container with the lowest one comes or goes; for half a minute the others
    send their questions for names to the old one.
    """
    for bridge in json.loads(run(["ip", "-json", "link", "show", "type", "bridge"])):
        run(["ip", "link", "set", "dev", bridge["ifname"], "address", bridge["address"]])


@contextmanager
def run_folder(root: Path) -> Iterator[None]:
    """Remove at the end what podman keeps only while it runs."""
    try:
        yield
    finally:
        shutil.rmtree(_run_folder(root), ignore_errors=True)


def _run_folder(root: Path) -> Path:
    """Give a short path, since sockets lie there, that is the same at each run: podman remembers it."""
    return Path("/run") / f"batuta-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def _configured(kept: Path, running: Path) -> Path:
    conf = kept / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    if not (conf / "storage.conf").exists():  # the driver can't be changed while there are images
        driver = "overlay" if _overlay_works(kept) else "vfs"
        (conf / "storage.conf").write_text(_STORAGE_CONF.format(driver=driver, kept=kept, run=running))
    (conf / "containers.conf").write_text(_CONTAINERS_CONF.format(kept=kept, run=running))
    (conf / "registries.conf").write_text(_REGISTRIES_CONF)
    return conf


def _overlay_works(kept: Path) -> bool:
    """Try it: some file systems can't be the upper one. Without it each layer is a whole copy (vfs)."""
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        for name in ("lower", "upper", "work", "merged"):
            (Path(folder) / name).mkdir()
        merged = f"{folder}/merged"
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"overlay", merged.encode(), b"overlay", 0, options.encode()):
            return False
        libc.umount(merged.encode())
        return True
