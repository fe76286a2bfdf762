"""The command line's way to the service; each of its failures ends the command with its own exit code."""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

import httpx

from api.cli.outcome import CommandError, Exit
from saga.messages.json_text import Json, JsonObject

# Beside the time that the service was asked to wait.
PATIENCE_S = 10.0
TOKEN = "SAGA_TOKEN"  # noqa: S105 - the name of the variable, not a token
_NOT_MODIFIED = 304
_NOT_FOUND = 404
_UNAUTHENTICATED = 401
_ERRORS_FROM = 400


class Client:
    """Ask one service."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CommandError(Exit.USAGE, "the URL must be like http://127.0.0.1:8003")
        token = os.environ.get(TOKEN)
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            # A proxy for the outside world must not come between us and this very machine.
            trust_env=not _is_this_machine(parts.hostname),
        )

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Json:
        """Read a document."""
        return _document(self._request("GET", path, query=query))

    def get_text(self, path: str, query: Sequence[tuple[str, str]]) -> str:
        """Read a text."""
        return self._request("GET", path, query=query).text

    def get_page(self, path: str, query: Sequence[tuple[str, str]]) -> tuple[list[JsonObject], str | None]:
        """Read a page of a listing, and the address of the next one."""
        answer = self._request("GET", path, query=query)
        following = answer.links.get("next", {}).get("url")
        return cast("list[JsonObject]", _document(answer)), following

    def get_changed(self, path: str, *, version: int | None, wait_s: int) -> JsonObject | None:
        """Read a process once its version differs from the one that is known; None if it did not in time."""
        headers = {"prefer": f"wait={wait_s}"}
        if version is not None:
            headers["if-none-match"] = f'"{version}"'
        answer = self._request("GET", path, headers=headers, wait_s=wait_s)
        return None if answer.status_code == _NOT_MODIFIED else cast("JsonObject", _document(answer))

    def post(
        self, path: str, body: JsonObject, *, headers: Mapping[str, str], wait_s: int = 0
    ) -> tuple[int, JsonObject]:
        """Send a body; give the status with the answer."""
        answer = self._request("POST", path, body=body, headers=headers, wait_s=wait_s)
        return answer.status_code, cast("JsonObject", _document(answer))

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: JsonObject | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: int = 0,
    ) -> httpx.Response:
        try:
            answer = self._http.request(
                method,
                path,
                params=list(query) or None,
                json=body,
                headers=dict(headers or {}),
                timeout=PATIENCE_S + wait_s,
            )
        except httpx.TransportError as error:
            raise CommandError(
                Exit.NOT_REACHABLE,
                f"{self._url} is not reachable ({type(error).__name__}): is the server running?",
            ) from None
        if answer.status_code >= _ERRORS_FROM:
            raise _refusal(answer)
        return answer


def _document(answer: httpx.Response) -> Json:
    try:
        document: Json = answer.json()
    except ValueError:
        raise CommandError(Exit.ERROR, "the answer is not JSON: is this the address of Batuta?") from None
    return document


def _refusal(answer: httpx.Response) -> CommandError:
    code = Exit.NOT_FOUND if answer.status_code == _NOT_FOUND else Exit.ERROR
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return CommandError(code, f"the service answered {answer.status_code}")
    lines = [str(problem.get("detail") or problem.get("title") or answer.status_code)]
    errors = problem.get("errors")
    lines += [
        f"  {error.get('pointer') or '/'}: {error.get('detail')}"
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]
    known = problem.get("known")
    if isinstance(known, list):
        lines.append(f"  known: {', '.join(map(str, known)) or 'none'}")
    allowed = problem.get("allowed_actions")
    if isinstance(allowed, list):
        lines.append(
            f"  it is {problem.get('process_status')}; allowed now: {', '.join(map(str, allowed)) or 'nothing'}"
        )
    if answer.status_code == _UNAUTHENTICATED:
        lines.append(f"  set {TOKEN} to a token of this service")
    return CommandError(code, "\n".join(lines))


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
