"""The folder of the embedded store: where its file is, and the lock that lets one server in.

The lock is the kernel's (`flock`), so it ends with the process that holds it, however that died.
"""

import fcntl
import os
from pathlib import Path
from typing import ClassVar

from saga.errors import NotReady, StoreUnavailable

FILE_NAME = "saga.db"
LOCK_NAME = "saga.lock"


class StoreInUse(NotReady):
    """Say that another server has this folder."""

    code: ClassVar[str] = "store-in-use"

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"another server ({holder or 'unknown'}) uses the embedded store in {folder}: stop it, or give "
            "this one a folder of its own by SAGA_DATA; for several servers on one store set SAGA_AMQP_URL "
            "and SAGA_MONGODB_URL"
        )
        self.folder = folder


class FolderLock:
    """Hold the folder of one embedded store for as long as this object is not released."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing and lock it. Raises StoreInUse, StoreUnavailable."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"the folder {folder} of the embedded store can't be used ({error.strerror}): make it "
                "writable, or name another by SAGA_DATA"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 100).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreInUse(folder, holder) from None
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"process {os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let another server in; doing it twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
