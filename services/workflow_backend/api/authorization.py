"""Authentication and authorization: the dependencies that routes declare."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ..errors import IndexUnavailable, ProjectionMismatch, ProjectionUnavailable
from ..items import Item
from ..store.archived_items import item_of, restore_archived
from ..store.base import ClientScope
from .backend import Backend, BackendDep
from .connections import client_of
from .tokens import EVERYBODY, Principal

BearerToken = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(
        HTTPBearer(auto_error=False, description="A token made by `workflow-backend tokens add`")
    ),
]
"""Declares in the API's description that a route takes a token; `resolve_principal` reads it."""

UNAUTHORIZED = "a valid bearer token is needed"


def resolve_principal(backend: Backend, request: Request) -> Principal | None:
    """Return the principal of a request's token, None if the token is missing or not valid now.

    Raises TokensUnavailable.
    """
    if backend.tokens is None:
        return EVERYBODY
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return backend.tokens.principal(token.strip()) if scheme.lower() == "bearer" and token else None


def client_key(principal: Principal | None, request: Request) -> str:
    """Return the client that limits count a request for: the token's, or else the address."""
    if principal and principal.name:
        return principal.name
    return client_of(request.client.host) if request.client else ""


def require_scope(scope: str) -> Callable[..., Awaitable[Principal]]:
    """Return the dependency that admits only principals with a scope."""

    async def principal_with_scope(
        request: Request, backend: BackendDep, _: BearerToken
    ) -> Principal:
        principal = resolve_principal(backend, request)
        if principal is None:
            raise HTTPException(401, UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        if not principal.may(scope):
            raise HTTPException(403, f"token {principal.name!r} lacks the scope {scope!r}")
        return principal

    return principal_with_scope


def item_scope(
    backend: Backend, principal: Principal, client: str | None = None
) -> ClientScope | None:
    """Return the items that a principal may list, None for all; `client` narrows an admin's list.

    An item belongs to the client whose token submitted it. Anybody may write any client's name on
    the chain, so only what these APIs submitted counts. Raises the 403 if another client is named.
    """
    if not principal.sees_all and client not in {None, principal.name}:
        raise HTTPException(403, f"token {principal.name!r} sees only what was submitted with it")
    name = client if principal.sees_all else principal.name
    return None if name is None else ClientScope(name, backend.requesters)


def can_see(backend: Backend, principal: Principal, item: Item) -> bool:
    """Tell whether an item is within a principal's scope."""
    scope = item_scope(backend, principal)
    return scope is None or scope.contains(item.as_dict())


async def whole_item(backend: Backend, item_id: str) -> Item | None:
    """Return the contract's record, of an archived item as it last stood, None if there is none."""
    return await _whole(backend, await backend.node.item(item_id))


async def whole_items(backend: Backend, item_ids: Sequence[str]) -> list[Item | None]:
    """Return the same of several items, in the order of their ids."""
    return [await _whole(backend, record) for record in await backend.node.items(item_ids)]


async def _whole(backend: Backend, record: Item | None) -> Item | None:
    if record is None or record.status != "archived":
        return record
    row = await _projected(backend, record.item_id)
    try:
        return await restore_archived(backend.node, record, row)
    except IndexUnavailable:
        return record if row is None else item_of(row)


async def visible_item(backend: Backend, principal: Principal, item_id: str) -> Item:
    """Return the contract's record; raises the 404 if there is none that the principal can see."""
    record = await whole_item(backend, item_id)
    if record is None or not can_see(backend, principal, record):
        raise HTTPException(404, f"no item {item_id!r} on {backend.settings.contract}")
    return record


async def _projected(backend: Backend, item_id: str) -> dict[str, Any] | None:
    try:
        return await backend.store.item(item_id)
    except ProjectionMismatch, ProjectionUnavailable:
        return None


Reader = Annotated[Principal, Depends(require_scope("read"))]
Requester = Annotated[Principal, Depends(require_scope("submit"))]
Canceller = Annotated[Principal, Depends(require_scope("cancel"))]
