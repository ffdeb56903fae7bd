"""Who may do what: the dependencies that routes name."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ..items import Item
from ..store.base import Whose
from .backend import Backend, Used
from .connections import client_of
from .tokens import EVERYBODY, Principal

_bearer = HTTPBearer(auto_error=False, description="A token made by `workflow-backend tokens add`")


UNAUTHORIZED = "a valid bearer token is needed"


def known(used: Backend, request: Request) -> Principal | None:
    """Return whose token is shown just now, None where it is nobody's or not any more.

    Raises TokensUnavailable.
    """
    if used.tokens is None:
        return EVERYBODY
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return used.tokens.principal(token.strip()) if scheme.lower() == "bearer" and token else None


def name_of(who: Principal | None, request: Request) -> str:
    """Return whom limits count a request for: a token's client, or the address without one."""
    if who and who.name:
        return who.name
    return client_of(request.client.host) if request.client else ""


def allowed(scope: str) -> Callable[..., Awaitable[Principal]]:
    """Return the dependency that lets only principals with a scope through."""

    async def principal(
        request: Request,
        used: Used,
        _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        who = known(used, request)
        if who is None:
            raise HTTPException(401, UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        if not who.may(scope):
            raise HTTPException(403, f"token {who.name!r} lacks the scope {scope!r}")
        return who

    return principal


def whose(used: Backend, who: Principal, client: str | None = None) -> Whose | None:
    """Return the items that a list may have, None for all; `client` is the one asked for, if any.

    An item's client is whose token it was submitted with. As anybody may write any
    name on the chain, only what these APIs submitted counts.
    """
    if not who.sees_all and client not in {None, who.name}:
        raise HTTPException(403, f"token {who.name!r} sees only what was submitted with it")
    name = client if who.sees_all else who.name
    return None if name is None else Whose(name, used.requesters)


async def seen_item(used: Backend, who: Principal, item_id: str) -> Item:
    """Return the contract's record; raises the 404 where there is none that this principal sees."""
    record = await used.node.item(item_id)
    if record is None or not sees(used, who, record):
        raise HTTPException(404, f"no item {item_id!r} on {used.settings.contract}")
    return record


def sees(used: Backend, who: Principal, item: Item) -> bool:
    """Tell whether an item is one of those that a principal sees."""
    seen = whose(used, who)
    return seen is None or seen.has(item.as_dict())


Reader = Annotated[Principal, Depends(allowed("read"))]
Requester = Annotated[Principal, Depends(allowed("submit"))]
Canceller = Annotated[Principal, Depends(allowed("cancel"))]
