"""Times as text: RFC 3339 in UTC with a Z, fixed in width so that texts sort as the times do."""

from datetime import UTC, datetime


def rfc3339(time: datetime, timespec: str = "microseconds") -> str:
    """Return a time that has a zone, such as 2026-01-31T12:00:00.000000Z.

    `timespec` is the precision, as in `datetime.isoformat`.
    """
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def now(timespec: str = "seconds") -> str:
    """Return the current time."""
    return rfc3339(datetime.now(UTC), timespec)


def parse(text: str) -> str:
    """Return another program's text of a time in this form; one without a zone is in UTC.

    The contract's `str(now)` has no zone. CometBFT's times have nanoseconds, which are cut off as
    the chain does for `now`. Raises ValueError.
    """
    time = datetime.fromisoformat(text)
    return rfc3339(time if time.tzinfo else time.replace(tzinfo=UTC))
