"""Work that is cheaper together: what one turn of the event loop brings is done at once."""

import asyncio
from collections.abc import Callable, Sequence


class Turn[T]:
    """Collects entries and hands those of a turn to `flush`, in their order."""

    def __init__(self, flush: Callable[[Sequence[T]], None]) -> None:
        self._flush = flush
        self._entries: list[T] = []
        self._done: asyncio.Future[None] | None = None

    async def add(self, entry: T) -> None:
        """Add an entry and wait until it is flushed; raises what the flush raised."""
        self._entries.append(entry)
        if self._done is None:
            loop = asyncio.get_running_loop()
            self._done = loop.create_future()
            loop.call_soon(self._run)
        await asyncio.shield(self._done)

    def _run(self) -> None:
        entries, self._entries = self._entries, []
        done, self._done = self._done, None
        if done is None:
            return
        try:
            self._flush(entries)
        except Exception as error:
            done.set_exception(error)
            done.exception()  # those who waited may be cancelled: then nobody is left to tell
        else:
            done.set_result(None)
