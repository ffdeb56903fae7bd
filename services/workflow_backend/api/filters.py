"""Query parameters of the lists: one set of filters for all of them."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import HTTPException, Query
from pydantic import AfterValidator, BaseModel, Field

from ..items import STATUSES, EventPosition
from ..store.base import ClientScope, EventFilter, ItemFilter
from .models import Account, EventName, ItemId, Kind, Name, Priority, Status
from .moments import Moment

_EVENT_OF = {status: f"Item{status.title()}" for status in STATUSES} | {"processing": "ItemClaimed"}
"""The event that leaves an item in a status."""


_Time = Annotated[
    Moment | None,
    Field(description="a time as answers give it: RFC 3339, in UTC if it has no zone"),
]


def _require_event_id(value: str) -> str:
    """Return the value; raises ValueError if it is no event's id."""
    try:
        EventPosition.parse(value)
    except ValueError:
        raise ValueError("expected an event's id such as 120-0-3") from None
    return value


_EventId = Annotated[str, Field(max_length=64), AfterValidator(_require_event_id)]


def _conflict(one: str, other: str) -> HTTPException:
    """Return the 422 for two parameters of which only one may be given."""
    detail = f"{one} and {other} mean the same: give one of them"
    return HTTPException(HTTPStatus.UNPROCESSABLE_CONTENT, detail)


class _ListQuery(BaseModel):
    status: Status | None = None
    kind: Kind | None = None
    requester: Account | None = None
    worker: Account | None = None
    client: Annotated[Name | None, Field(description="the client whose items they are")] = None
    id_prefix: Annotated[ItemId | None, Field(description="how the items' ids begin")] = None
    created_from: _Time = None
    created_before: _Time = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[
        str | None, Field(description="`next_cursor` of the page before", max_length=512)
    ] = None

    def _filters(self, *others: str) -> dict[str, Any]:
        return self.model_dump(exclude={"client", "limit", "cursor", *others})

    def _position(self, name: str, event_id: str | None) -> EventPosition | None:
        """Return an event's position; raises the 422 if a cursor is given, too."""
        if event_id is None:
            return None
        if self.cursor is not None:
            raise _conflict("cursor", name)
        return EventPosition.parse(event_id)


class _ItemQuery(_ListQuery):
    priority: Priority | None = None
    updated_from: _Time = None
    updated_before: _Time = None
    before_event_id: Annotated[
        _EventId | None,
        Field(description="in place of `cursor`: `last_event_id` of the last item before"),
    ] = None

    @property
    def before(self) -> EventPosition | None:
        """An event of the item that the page begins after; raises the 422."""
        return self._position("before_event_id", self.before_event_id)

    def to_filter(self, scope: ClientScope | None) -> ItemFilter:
        """Return the filter for the store."""
        return ItemFilter(**self._filters("before_event_id"), scope=scope)


class _EventQuery(_ListQuery):
    status: Annotated[
        Status | None, Field(description="the status in which the event left the item")
    ] = None
    event_name: Annotated[EventName | None, Field(description="the same, by the event")] = None
    before_id: Annotated[
        _EventId | None,
        Field(description="in place of `cursor`: `event_id` of the last event before"),
    ] = None

    @property
    def before(self) -> EventPosition | None:
        """The event that the page begins after; raises the 422."""
        return self._position("before_id", self.before_id)

    def to_filter(self, scope: ClientScope | None, item_id: str | None = None) -> EventFilter:
        """Return the filter for the store; raises the 422 for status and event_name together."""
        if self.status and self.event_name:
            raise _conflict("status", "event_name")
        name = _EVENT_OF[self.status] if self.status else self.event_name
        others = self._filters("status", "event_name", "before_id")
        return EventFilter(**others, name=name, item_id=item_id, scope=scope)


ItemQuery = Annotated[_ItemQuery, Query()]
EventQuery = Annotated[_EventQuery, Query()]
