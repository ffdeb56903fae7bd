"""What the log says of an outage: a line when it begins, one now and then, one when it is over."""

import logging
import time

from .errors import WorkflowError

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""Seconds from one line about an outage to the next."""

QUIET_SECONDS = 5.0
"""An outage is over when nothing has failed for so many seconds: a part of a node may answer while
another does not."""


class Outage:
    """One thing that may be away; `over` is what is said when it is back.

    Whoever meets an error first tells it, and marks it as told: to those that hear of the same
    error afterwards it is no outage of their own.
    """

    def __init__(self, over: str) -> None:
        self._over = over
        self._since: float | None = None
        self._failed = 0.0
        self._told: float | None = None
        self._is_open = False

    def failed(self, error: WorkflowError) -> None:
        """Take in that it failed."""
        if error.is_told:
            return
        error.is_told = True
        now = self._failed = time.monotonic()
        if self._since is None:
            self._since = now
        if self._told is not None and now - self._told < REPEAT_SECONDS:
            return
        lasts = f", for {now - self._since:.0f} s now" if self._is_open else ""
        log.warning("%s%s", error.explain(), lasts)
        self._told = now
        self._is_open = True

    def well(self) -> None:
        """Take in that it did what it was asked."""
        if self._since is None or time.monotonic() - self._failed < QUIET_SECONDS:
            return
        if self._is_open:
            log.info("%s after %.0f s", self._over, self._failed - self._since)
        self._since = None
        self._is_open = False
