"""Processes over the published port, as a user with a token starts and follows them."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from tests.containers.telling import check

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = "started,compensating,suspended,paused"
STEPS = ("ingestion", "analysis", "indexing")
_ANSWER_WITHIN_S = 15
_BETWEEN_STARTS_S = 0.05


class Processes:
    """Start processes, remember how each should end, and see whether it did."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_ANSWER_WITHIN_S,
            trust_env=False,
        )
        self._ends: dict[str, str] = {}

    def __len__(self) -> int:
        """Count those that were accepted."""
        return len(self._ends)

    def start(self, *, fail_at: str | None = None, wait_s: int = 0) -> str:
        """Start one and give the status that the answer shows; only 202 counts as accepted."""
        process_id = str(uuid.uuid4())
        parameters = {"document_id": process_id} | ({"fail_at": fail_at} if fail_at else {})
        answer = self._http.post(
            "/process",
            json={
                "process_type": "document_analysis",
                "parameters": parameters,
                "process_id": process_id,
            },
            headers={"Prefer": f"wait={wait_s}"} if wait_s else {},
        )
        check(answer.is_success, f"POST /process was answered by {answer.status_code}: {answer.text}")
        self._ends[process_id] = "compensated" if fail_at else "completed"
        return str(answer.json()["status"])

    def start_many(self, count: int) -> None:
        """Start some, every third of which is to be undone."""
        for number in range(count):
            self._start_nth(number)

    @contextmanager
    def starting_all_along(self) -> Iterator[None]:
        """Start one after the other while the block runs. Raises CheckError where one was not accepted."""
        enough = threading.Event()

        def start() -> None:
            for number in itertools.count():
                if enough.wait(_BETWEEN_STARTS_S):
                    return
                self._start_nth(number)

        with ThreadPoolExecutor(max_workers=1) as background:
            starting = background.submit(start)
            try:
                yield
            finally:
                enough.set()
            starting.result()

    def _start_nth(self, number: int) -> None:
        self.start(fail_at=STEPS[number // 3 % len(STEPS)] if number % 3 == 0 else None)

    def unended(self) -> int:
        """Count those that have not ended, by the list: the counts may be a minute old."""
        return len(self._read(f"/process?status={_OPEN}&limit=200"))

    def check_ends(self) -> None:
        """Look at each process. Raises CheckError."""
        for process_id, end in self._ends.items():
            status = self._read(f"/process/{process_id}")["status"]
            check(status == end, f"process {process_id} is {status}, not {end}")

    def replay(self) -> int:
        """Compare each projection with the log and give the number of processes. Raises CheckError."""
        count = 0
        for answer in self._replays():
            count += answer["processes"]
            check(not answer["reports"], f"replay found differences: {answer['reports']}")
        return count

    def status_without_token(self) -> int:
        """Give the code that answers somebody without a token."""
        return httpx.get(
            f"{self._http.base_url}/process", trust_env=False, timeout=_ANSWER_WITHIN_S
        ).status_code

    def _replays(self) -> Iterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            answer = self._http.post("/replay", params=after).raise_for_status().json()
            yield answer
            if answer["next"] is None:
                return
            after = {"after": answer["next"]}

    def _read(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()


def new_token() -> tuple[str, str]:
    """Draw a token and give it with the line of SAGA_API_TOKENS that lets it in."""
    token = secrets.token_hex(24)
    return token, f"check:read+operate+admin:{hashlib.sha256(token.encode()).hexdigest()}"
