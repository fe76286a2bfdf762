"""Who asks, and whether they may: bearer tokens with scopes, where SAGA_API_TOKENS is set."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api import problems as kinds
from api.problems import Problem
from api.settings import ApiToken, Scope, Settings

# The principal of all callers where no tokens are set.
ANYBODY = ""
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token from SAGA_API_TOKENS.")


def needs(scope: Scope) -> Callable[..., Awaitable[str]]:
    """Make a dependency that gives the name of whoever asks, or refuses them."""

    async def principal(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> str:
        settings: Settings = request.app.state.services.settings
        if not settings.api_tokens:
            return ANYBODY
        token = _known(settings.api_tokens, credentials.credentials if credentials else "")
        if token is None:
            raise Problem(
                kinds.UNAUTHENTICATED,
                "The request has no token that is known here.",
                headers={"www-authenticate": "Bearer", "connection": "close"},
            )
        if scope not in token.scopes:
            raise Problem(kinds.FORBIDDEN, f"The token lacks the scope {scope}.")
        return token.name

    return principal


def _known(tokens: tuple[ApiToken, ...], given: str) -> ApiToken | None:
    # All are compared, so that the time does not tell which one is close.
    matches = [token for token in tokens if token.is_token(given)]
    return matches[0] if matches else None


MayRead = Annotated[str, Depends(needs("read"))]
MayOperate = Annotated[str, Depends(needs("operate"))]
