"""What the service says of itself: its version, where to begin, and what its problems mean."""

import html
import platform

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api import problems as kinds
from api.auth import MayRead
from api.context import refusals
from api.problems import Problem
from api.responses import JsonAnswer
from api.version import VERSION

router = APIRouter(tags=["operations"])

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:3em auto;padding:0 1em}}</style>
<h1>{title}</h1><p><code>{slug}</code>, HTTP status {status}</p><p>{explanation}</p></html>
"""
_NO_OTHER_SITE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get("/version", operation_id="read_version", summary="Which version is this?")
async def read_version(_: MayRead) -> JsonAnswer:
    """Give the version of Batuta and of Python."""
    return JsonAnswer({"name": "batuta", "version": VERSION, "python": platform.python_version()})


@router.get("/", operation_id="read_index", summary="What is here?")
async def read_index() -> JsonAnswer:
    """Name the places to begin with."""
    return JsonAnswer(
        {
            "name": "batuta",
            "version": VERSION,
            "description": "/openapi.json",
            "messages": "/asyncapi",
            "processes": "/process",
            "process_types": "/process-type",
        }
    )


@router.get(
    "/problems/{slug}",
    operation_id="read_problem",
    summary="What does a problem mean?",
    response_class=HTMLResponse,
    responses=refusals(kinds.NOT_FOUND),
)
async def read_problem(slug: str) -> HTMLResponse:
    """Explain a kind of refusal; the `type` of each problem document leads here."""
    kind = kinds.REGISTRY.get(slug)
    if kind is None:
        raise Problem(kinds.NOT_FOUND, "There is no such kind of problem.")
    page = _PAGE.format(
        slug=kind.slug,
        status=kind.status,
        title=html.escape(kind.title),
        explanation=html.escape(kind.explanation),
    )
    return HTMLResponse(page, headers=_NO_OTHER_SITE)
