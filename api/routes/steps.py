"""POST /step/{command_id}/…: the reply of a participant that can't reach the broker, and a person's signal."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from api import problems as kinds
from api.auth import MayOperate
from api.context import TheServices, confirmed, promptly, refusals, takes
from api.door import read_body
from api.problems import Problem
from api.responses import JsonAnswer
from api.schemas.operate import CompletedBody, FailedBody, ProgressBody, ReplyBody, Taken
from saga.messages.command import CommandRef, parse_command_id

router = APIRouter(prefix="/step", tags=["acting"])

_WORDS: dict[str, tuple[type[ReplyBody], str]] = {
    "completed": (CompletedBody, "Say that a command took effect, or give a signal"),
    "failed": (FailedBody, "Say that a command failed, or refuse a signal"),
    "progress": (ProgressBody, "Say that a command is still being worked on"),
}


def _add(word: str, model: type[ReplyBody], summary: str) -> None:
    async def answer(
        request: Request,
        command_id: Annotated[str, Path(description="The id of the command that is answered.")],
        _: MayOperate,
        services: TheServices,
    ) -> JsonAnswer:
        body = await read_body(request, model)
        if body.command_id not in {None, command_id}:
            errors = [("/command_id", "must be the command_id of the address, or left out")]
            raise Problem(kinds.INVALID_BODY, "The body is about another command.", errors=errors)
        ref = _command(command_id)
        async with promptly():
            state = await services.operate.find(ref)
        if state is None:
            raise Problem(kinds.NOT_FOUND, "There is no such command.")
        async with confirmed():
            await services.operate.answer(state, ref, word, body.model_dump(exclude_unset=True))
        return JsonAnswer({"command_id": command_id, "status": "taken"}, 202)

    router.add_api_route(
        f"/{{command_id}}/{word}",
        answer,
        methods=["POST"],
        operation_id=f"answer_{word}",
        summary=summary,
        description="The answer says that the broker has it; what it changes is seen in the process.",
        status_code=202,
        response_model=Taken,
        responses=refusals(
            kinds.NOT_FOUND, kinds.MALFORMED_JSON, kinds.CONTENT_TOO_LARGE, kinds.UNSUPPORTED_MEDIA_TYPE,
            kinds.REQUEST_TIMEOUT, kinds.INVALID_BODY, kinds.UNSTORABLE, kinds.NOT_READY,
        ),
        openapi_extra=takes(model),
    )  # fmt: skip


for _word, (_model, _summary) in _WORDS.items():
    _add(_word, _model, _summary)


def _command(command_id: str) -> CommandRef:
    ref = parse_command_id(command_id)
    if ref is None:
        raise Problem(kinds.NOT_FOUND, "There is no such command.")
    return ref
