"""Batching by tick: entries added in one turn of the event loop are flushed together."""

import asyncio
from collections.abc import Callable, Sequence


class TickBatcher[T]:
    """Collects entries and hands those of one tick to `flush`, in order."""

    def __init__(self, flush: Callable[[Sequence[T]], None]) -> None:
        self._flush = flush
        self._entries: list[T] = []
        self._flushed: asyncio.Future[None] | None = None

    async def add(self, entry: T) -> None:
        """Add an entry and wait until it is flushed; raises what `flush` raised."""
        self._entries.append(entry)
        if self._flushed is None:
            loop = asyncio.get_running_loop()
            self._flushed = loop.create_future()
            loop.call_soon(self._run)
        await asyncio.shield(self._flushed)

    def _run(self) -> None:
        entries, self._entries = self._entries, []
        flushed, self._flushed = self._flushed, None
        if flushed is None:
            return
        try:
            self._flush(entries)
        except Exception as error:
            flushed.set_exception(error)
            flushed.exception()  # whoever waited may be cancelled, and then nobody retrieves it
        else:
            flushed.set_result(None)
