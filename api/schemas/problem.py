"""A refusal as the API description shows it."""

from pydantic import BaseModel, ConfigDict


class ProblemError(BaseModel):
    """One thing that is wrong, with a JSON pointer to it."""

    pointer: str
    detail: str


class ProblemDocument(BaseModel):
    """A problem of RFC 9457; some kinds have further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError] = []
