"""An event that is set for all processors of a worker at once."""

import asyncio


class SharedWake(asyncio.Event):
    """Wakes all `members`: what one processor finishes makes room for the others.

    Each clears and waits for its own.
    """

    def __init__(self, members: list[SharedWake]) -> None:
        super().__init__()
        members.append(self)
        self._members = members

    def set(self) -> None:
        """Set the events of all members."""
        for member in self._members:
            asyncio.Event.set(member)
