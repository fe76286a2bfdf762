"""A name server that knows no name, for the namespaces of the run, which reach no other.

podman's own name server asks the machine's for each name that no container has just then, that of a stopped
broker for instance. Where none answers, each question waits for seconds, and those behind it too.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

from tests.containers.engine import run

_ADDRESS = "192.0.2.53"  # of a range that is kept for examples
_PORT = 53
_BYTES_MAX = 4_096
_HEADER_BYTES = 12
_TYPE_AND_CLASS_BYTES = 1 + 2 + 2
_NO_SUCH_NAME = b"\x81\x83"
_ONE_QUESTION_NO_ANSWER = b"\x00\x01\x00\x00\x00\x00\x00\x00"


def serve_no_names() -> None:
    """Answer in the background until the process ends, and make it the machine's name server."""
    run(["ip", "address", "add", f"{_ADDRESS}/32", "dev", "lo"])
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind((_ADDRESS, _PORT))
    threading.Thread(target=_answer, args=(listening,), daemon=True).start()
    resolv_conf = Path("/run/resolv.conf")
    resolv_conf.write_text(f"nameserver {_ADDRESS}\n", encoding="ascii")
    run(["mount", "--bind", str(resolv_conf), "/etc/resolv.conf"])


def _answer(listening: socket.socket) -> None:
    while True:
        question, asker = listening.recvfrom(_BYTES_MAX)
        end = question.find(b"\x00", _HEADER_BYTES) + _TYPE_AND_CLASS_BYTES  # behind the labels of the name
        name_and_type = question[_HEADER_BYTES:end]
        with suppress(OSError):  # who asked may be gone, and others go on asking
            listening.sendto(question[:2] + _NO_SUCH_NAME + _ONE_QUESTION_NO_ANSWER + name_and_type, asker)
