"""Who may do what: the dependencies that routes name."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .backend import Used
from .tokens import EVERYBODY, Principal

_bearer = HTTPBearer(auto_error=False, description="A token made by `workflow-backend tokens add`")


def allowed(scope: str) -> Callable[..., Awaitable[Principal]]:
    """Return the dependency that lets only principals with a scope through, at their rate."""

    async def principal(
        request: Request,
        used: Used,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        who: Principal | None = EVERYBODY
        if used.tokens is not None:
            who = used.tokens.principal(credentials.credentials) if credentials else None
        if who is None:
            detail = "a valid bearer token is needed"
            raise HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})
        if not who.may(scope):
            raise HTTPException(403, f"token {who.name!r} lacks the scope {scope!r}")
        wait = used.rate.take(who.name or (request.client.host if request.client else ""))
        if wait:
            headers = {"Retry-After": str(max(1, round(wait)))}
            raise HTTPException(429, "too many requests at once", headers=headers)
        return who

    return principal


Reader = Annotated[Principal, Depends(allowed("read"))]
Requester = Annotated[Principal, Depends(allowed("submit"))]
Canceller = Annotated[Principal, Depends(allowed("cancel"))]
