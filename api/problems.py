"""Every refusal that the service can answer: one registry, served as pages below `/problems/`.

A problem names what to do, never an internal name and never a value that was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from saga.messages.json_text import Json, JsonObject

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of refusal: its stable name, its status, and what somebody who meets it should know."""

    slug: str
    status: int
    title: str
    explanation: str


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """Refuse a request; becomes a document of RFC 9457.

    `errors` are pairs of a JSON pointer and a sentence; `members` are further members of the document.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(f"{kind.slug}: {detail}")
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.members = dict(members or {})

    def document(self) -> JsonObject:
        """Write the problem as RFC 9457 asks."""
        document: JsonObject = {
            "type": f"/problems/{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in self.errors]
        return {**document, **self.members}


BAD_REQUEST = ProblemType(
    "bad-request", 400, "The request can't be read", "The request is not HTTP as this service understands it."
)
MALFORMED_JSON = ProblemType(
    "malformed-json",
    400,
    "The body is not JSON",
    "A body is one JSON text in UTF-8 without a byte order mark, NaN, Infinity, a key given twice in one "
    "object, or half of a surrogate pair. The detail says what was met.",
)
BAD_HEADER = ProblemType(
    "bad-header",
    400,
    "A header has no valid value",
    "An Idempotency-Key is 1 to 128 visible ASCII characters and is given once; the wait of Prefer is a "
    "whole number of seconds.",
)
BAD_QUERY = ProblemType(
    "bad-query",
    400,
    "A query parameter is not valid",
    "The parameter is unknown, given too often or has a value outside its range. A cursor is only good "
    "with the filters of the page that it came with.",
)
UNAUTHENTICATED = ProblemType(
    "unauthenticated",
    401,
    "A token is needed",
    "Send `Authorization: Bearer …` with a token of this service.",
)
FORBIDDEN = ProblemType(
    "forbidden", 403, "The token does not allow this", "The detail names the scope that the token lacks."
)
NOT_FOUND = ProblemType("not-found", 404, "There is no such thing", "Nothing is known under this address.")
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed", 405, "The method is not allowed", "The header Allow lists those that are."
)
REQUEST_TIMEOUT = ProblemType(
    "request-timeout", 408, "The request came too slowly", "Send the whole request within a few seconds."
)
CONTENT_TOO_LARGE = ProblemType(
    "content-too-large",
    413,
    "The body is too large",
    "A body is at most 1 MiB. Send a reference to what is larger.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "The body has another type",
    "Send `Content-Type: application/json`, in UTF-8, without a content encoding.",
)
HEADERS_TOO_LARGE = ProblemType(
    "headers-too-large", 431, "The headers are too large", "All headers together are at most 64 KiB."
)
UNSTORABLE = ProblemType(
    "unstorable-value",
    422,
    "A value can't be kept exactly",
    "What is accepted comes back equal. Numbers beyond 64 bits, NUL in a key, more than 64 levels or "
    "100,000 keys can't be kept.",
)
INVALID_BODY = ProblemType(
    "invalid-body",
    422,
    "The body has not the expected form",
    "`errors` lists what is wrong with JSON pointers. Nothing is converted: a number in quotes is a string.",
)
UNKNOWN_PROCESS_TYPE = ProblemType(
    "unknown-process-type",
    422,
    "There is no such process type",
    "`known` lists the process types that can be started.",
)
INVALID_PARAMETERS = ProblemType(
    "invalid-parameters",
    422,
    "The parameters don't fit the process type",
    "`errors` lists what is wrong with JSON pointers into the body. The schema is at `/process-type/{name}`.",
)
KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    422,
    "The key was used with another request",
    "The Idempotency-Key or process_id belongs to an earlier request with another body. Draw a new one.",
)
CALLBACK_REFUSED = ProblemType(
    "callback-refused",
    422,
    "The callback address would not be called",
    "`errors` says why. A `callback_url` is an address of https, names a host that the service may call "
    "(`SAGA_WEBHOOK_HOSTS`), and leads to a public address; it has no user and no fragment.",
)
NOT_ALLOWED_NOW = ProblemType(
    "not-allowed-now",
    409,
    "The process can't do this where it stands",
    "`process_status` says where it stands, `allowed_actions` what it can do now.",
)
PRECONDITION_FAILED = ProblemType(
    "precondition-failed",
    412,
    "The process has moved on",
    "If-Match names a version that is not the current one. Read the process again before you act on it.",
)
EMPTY_FILTER = ProblemType(
    "empty-filter",
    422,
    "A filter is needed",
    "An action on many processes names at least one thing that they have in common: nobody means all of them.",
)
TOO_MANY_REQUESTS = ProblemType(
    "too-many-requests", 429, "Too many requests at once", "Try again after the seconds in Retry-After."
)
INTERNAL = ProblemType(
    "internal-error",
    500,
    "Something went wrong here",
    "The fault is on this side; the log of the service says more.",
)
UNREADABLE_LOG = ProblemType(
    "unreadable-log",
    500,
    "The log of the process can't be read",
    "It has a gap, is damaged, or was written by a newer version. `sequence` is the number of the event, "
    "`field` its field where one is known. The process stands still until its log is restored, or Batuta is "
    "upgraded.",
)
UNKNOWN_DEFINITION = ProblemType(
    "unknown-definition",
    500,
    "The definition of the process can't be read",
    "It is not stored, was changed where it is stored, or is newer than this version. The process stands still "
    "until its definition is restored, or Batuta is upgraded.",
)
STORE_UNAVAILABLE = ProblemType(
    "store-unavailable", 503, "The store is away", "Nothing was written. Try again after Retry-After."
)
OUTCOME_UNKNOWN = ProblemType(
    "outcome-unknown",
    503,
    "The store did not say whether it has it",
    "The process may have been accepted under `process_id`. Repeating the request with that process_id, or "
    "with the same Idempotency-Key, is safe.",
)
NOT_READY = ProblemType(
    "not-ready", 503, "The service is not ready", "`not_ready`, where given, names what is missing."
)

REGISTRY: Mapping[str, ProblemType] = MappingProxyType(
    {kind.slug: kind for kind in list(globals().values()) if isinstance(kind, ProblemType)}
)


def retry_later(kind: ProblemType, detail: str, *, members: Mapping[str, Json] | None = None) -> Problem:
    """Make a problem that goes away by itself."""
    return Problem(kind, detail, headers={"retry-after": str(RETRY_AFTER_S)}, members=members)
