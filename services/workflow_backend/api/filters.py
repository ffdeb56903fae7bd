"""What a list may be asked for: one set of filters for all of them."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import HTTPException, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from ..chain.contract import ITEM_EVENTS
from ..items import STATUSES
from ..store.base import EventFilter, ItemFilter, Whose
from .models import Account, Event, ItemId, Kind, Name, Status

_EVENT_OF = dict(zip(STATUSES, ITEM_EVENTS, strict=True))
"""The event that leaves an item in a status."""


def _with_a_date(given: object) -> object:
    """Return it; raises ValueError for a number, whose unit would have to be guessed."""
    if isinstance(given, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
        raise ValueError("wanted a time such as 2026-01-31T12:00:00Z")
    return given


def _in_utc(time: datetime) -> datetime:
    """Return a time in UTC, which one without a zone is in; raises ValueError."""
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("wanted a time of the years 1 to 9999 in UTC") from None


_Time = Annotated[
    Annotated[datetime, BeforeValidator(_with_a_date), AfterValidator(_in_utc)] | None,
    Field(description="as answers tell times: RFC 3339, in UTC where it has no zone"),
]


class _Asked(BaseModel):
    status: Status | None = None
    kind: Kind | None = None
    requester: Account | None = None
    worker: Account | None = None
    client: Annotated[Name | None, Field(description="whose items they are")] = None
    id_prefix: Annotated[ItemId | None, Field(description="the beginning of items' ids")] = None
    created_from: _Time = None
    created_before: _Time = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[
        str | None, Field(description="`next_cursor` of the page before", max_length=512)
    ] = None

    def _filters(self, *others: str) -> dict[str, Any]:
        return self.model_dump(exclude={"client", "limit", "cursor", *others})


class _ItemsAsked(_Asked):
    updated_from: _Time = None
    updated_before: _Time = None

    def which(self, whose: Whose | None) -> ItemFilter:
        """Return the filter for the store."""
        return ItemFilter(**self._filters(), whose=whose)


class _EventsAsked(_Asked):
    status: Annotated[
        Status | None, Field(description="the status in which the event left the item")
    ] = None
    event: Annotated[Event | None, Field(description="the same by the event's name")] = None

    def which(self, whose: Whose | None, item_id: str | None = None) -> EventFilter:
        """Return the filter for the store; raises the 422 where two filters say the same."""
        if self.status and self.event:
            detail = "status and event are two words for one thing: give one of them"
            raise HTTPException(HTTPStatus.UNPROCESSABLE_CONTENT, detail)
        name = _EVENT_OF[self.status] if self.status else self.event
        others = self._filters("status", "event")
        return EventFilter(**others, name=name, item_id=item_id, whose=whose)


ItemsAsked = Annotated[_ItemsAsked, Query()]
EventsAsked = Annotated[_EventsAsked, Query()]
