"""Log lines about an outage: one when it begins, one now and then, one when it is over."""

import logging
import time

from .errors import WorkflowError

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""Seconds between two lines about the same outage."""

QUIET_SECONDS = 5.0
"""Seconds without a failure after which an outage is over.

One part of a node may answer while another does not, so a single success proves little.
"""


class OutageLog:
    """Logs the outages of one thing; `recovery` is the message when it is back.

    The first log that gets an error marks it as logged. The others ignore it, so that one error
    makes one line however many layers it passes.
    """

    def __init__(self, recovery: str) -> None:
        self._recovery = recovery
        self._since: float | None = None
        self._last_failure = 0.0
        self._last_line: float | None = None
        self._is_announced = False

    def record_failure(self, error: WorkflowError) -> None:
        """Log the error, unless it is logged already or the last line is too recent."""
        if error.is_logged:
            return
        error.is_logged = True
        now = self._last_failure = time.monotonic()
        if self._since is None:
            self._since = now
        if self._last_line is not None and now - self._last_line < REPEAT_SECONDS:
            return
        lasts = f", for {now - self._since:.0f} s now" if self._is_announced else ""
        log.warning("%s%s", error.explain(), lasts)
        self._last_line = now
        self._is_announced = True

    def record_success(self) -> None:
        """End the outage, if nothing has failed for a while; log that if its beginning was."""
        if self._since is None or time.monotonic() - self._last_failure < QUIET_SECONDS:
            return
        if self._is_announced:
            log.info("%s after %.0f s", self._recovery, self._last_failure - self._since)
        self._since = None
        self._is_announced = False
