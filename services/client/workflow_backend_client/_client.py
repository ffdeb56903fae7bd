"""What blocks, made of `_async_client.py` by setup/sync_client.py."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from . import _protocol as protocol
from . import models
from ._protocol import Call, activity_path, item_path
from ._transport import Transport
from .errors import ApiError, ApiUnavailable, WaitTimeout

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Client:
    """Calls the API at one address.

    `token` is a bearer token. `ca_file` has the authorities that an https:// address is held to, by
    default those of the system. `timeout` is how many seconds one answer may take. While the API is
    away or busy, a request that is safe to repeat is repeated for `retry_seconds`.

    A method raises ApiError where the API refuses, and ApiUnavailable where it gives no answer. A
    redirect is refused: the token is for this address alone.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        timeout: float = 15.0,
        retry_seconds: float = 30.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._api = Transport(self.url, token, ca_file, timeout, retry_seconds)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    # --- items

    def submit(
        self,
        item_id: str,
        payload_uri: str,
        *,
        kind: str = "job",
        metadata_ref: str = "",
        priority: int | None = None,
        not_before: datetime | str | None = None,
        after: Sequence[str] = (),
    ) -> models.Accepted:
        """Submit an item and return once it is in a block, or after ten seconds before that.

        Items of priority 0 are claimed first, those of 9 last. Nobody claims the item before
        `not_before`, or before all items of `after`, up to 8 ids, are completed. The same
        submission again answers as the first time.
        """
        required = {
            "item_id": item_id,
            "payload_uri": payload_uri,
            "kind": kind,
            "metadata_ref": metadata_ref,
        }
        body = protocol.submission(required, priority, not_before, after)
        return cast(models.Accepted, self._api.send(Call("POST", "/items", body=body, seconds=10)))

    def submit_batch(self, items: Sequence[models.Submission]) -> models.BatchOutcome:
        """Submit up to 500 items and return what became of each."""
        call = Call("POST", "/items/batch", body={"items": list(items)}, seconds=10)
        return cast(models.BatchOutcome, self._api.send(call))

    def get(self, item_id: str) -> models.ItemView:
        """Return an item as the contract has it, as the projection has it, and its last events."""
        return cast(models.ItemView, self._api.send(Call("GET", item_path(item_id))))

    def cancel(self, item_id: str, reason: str = "") -> models.Accepted:
        """Cancel a submitted item."""
        path = item_path(item_id, "cancel")
        call = Call("POST", path, body={"reason": reason}, is_repeatable=False, seconds=10)
        return cast(models.Accepted, self._api.send(call))

    def stop(self, item_id: str, reason: str = "") -> models.Accepted:
        """Ask the worker that holds an item to stop; a submitted item is cancelled at once."""
        path = item_path(item_id, "stop")
        call = Call("POST", path, body={"reason": reason}, is_repeatable=False, seconds=10)
        return cast(models.Accepted, self._api.send(call))

    def retry(self, item_id: str) -> models.Accepted:
        """Make a failed item claimable again."""
        path = item_path(item_id, "retry")
        call = Call("POST", path, is_repeatable=False, seconds=10)
        return cast(models.Accepted, self._api.send(call))

    def wait(self, item_id: str, seconds: float = 300.0) -> models.Item:
        """Wait until an item is settled and return it.

        Raises WaitTimeout after `seconds`.
        """
        deadline = monotonic() + seconds
        while True:
            turn = min(max(deadline - monotonic(), 0.1), 25.0)
            params = {"wait": "completed", "timeout": f"{turn:.3f}"}
            call = Call("GET", item_path(item_id), params, seconds=turn)
            item = cast(models.ItemView, self._api.send(call))["item"]
            if item["status"] in models.SETTLED:
                return item
            if monotonic() >= deadline:
                raise WaitTimeout(item_id, item["status"], seconds)

    def watch(
        self, item_id: str, seconds: float = 300.0, poll_seconds: float = 0.1
    ) -> Iterator[models.Item]:
        """Yield an item as it is, and again at each change, until it is settled.

        It is looked at each `poll_seconds`. Raises WaitTimeout after `seconds`.
        """
        deadline = monotonic() + seconds
        last: models.Item | None = None
        while True:
            item = (self.get(item_id))["item"]
            if item != last:
                yield item
                last = item
            if item["status"] in models.SETTLED:
                return
            if monotonic() >= deadline:
                raise WaitTimeout(item_id, item["status"], seconds)
            time.sleep(poll_seconds)

    # --- lists

    def list_items(self, **filters: Unpack[models.ItemFilters]) -> models.ItemList:
        """Return a page of items, the newest first."""
        call = protocol.list_call("/items", filters, models.ItemFilters)
        return cast(models.ItemList, self._api.send(call))

    def iterate_items(self, **filters: Unpack[models.ItemFilters]) -> Iterator[models.Item]:
        """Yield every item that the filters let through, page by page."""
        call = protocol.list_call("/items", filters, models.ItemFilters)
        for page in self._pages(call):
            for item in cast(models.ItemList, page)["items"]:
                yield item

    def list_events(
        self, item_id: str | None = None, **filters: Unpack[models.EventFilters]
    ) -> models.Activity:
        """Return a page of events, the newest first: of one item or of all."""
        call = protocol.list_call(activity_path(item_id), filters, models.EventFilters)
        return cast(models.Activity, self._api.send(call))

    def iterate_events(
        self, item_id: str | None = None, **filters: Unpack[models.EventFilters]
    ) -> Iterator[models.Event]:
        """Yield every event that the filters let through, page by page."""
        call = protocol.list_call(activity_path(item_id), filters, models.EventFilters)
        for page in self._pages(call):
            for event in cast(models.Activity, page)["events"]:
                yield event

    def _pages(self, call: Call) -> Iterator[dict[str, Any]]:
        while True:
            page = self._api.send(call)
            yield page
            if page["next_cursor"] is None:
                return
            call = replace(call, params={**call.params, "cursor": page["next_cursor"]})

    def summary(self) -> models.Summary:
        """Return how many items have each status."""
        return cast(models.Summary, self._api.send(Call("GET", "/projection/summary")))

    def health(self) -> models.Health:
        """Return whether chain, index and projection are there and belong together."""
        return cast(models.Health, self._api.send(Call("GET", "/health")))

    # --- the live stream

    def stream(self, cursor: str | None = None) -> Iterator[models.StreamedEvent]:
        """Yield each event as it is projected, without an end.

        It begins behind `cursor`, which is an earlier event's or "0" for the first event of all; by
        default it begins with the next event. A connection that is lost is made again, and nothing
        is left out. Raises ApiError where the API refuses, and ApiUnavailable once it
        has been away for `retry_seconds`.
        """
        if cursor is None:
            newest = (self.list_events(limit=1))["events"]
            cursor = newest[0]["event_id"] if newest else "0"
        pause, give_up = protocol.FIRST_PAUSE_SECONDS, monotonic() + self._api.retry_seconds
        while True:
            try:
                for streamed in self._api.stream(cursor):
                    pause = protocol.FIRST_PAUSE_SECONDS
                    give_up = monotonic() + protocol.STREAM_IDLE_SECONDS + self._api.retry_seconds
                    if streamed is not None:
                        cursor = streamed.cursor
                        yield streamed
            except (ApiError, ApiUnavailable) as error:
                wait = protocol.pause_before_retry(error, pause)
                if wait is None or monotonic() + wait > give_up:
                    raise
                pause = wait
            time.sleep(pause)
            pause = min(pause * 2, protocol.LONGEST_PAUSE_SECONDS)
