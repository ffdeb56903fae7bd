"""Times as text: RFC 3339 in UTC, all of one width, so that they compare as the times do."""

from datetime import UTC, datetime


def rfc3339(time: datetime) -> str:
    """Return a time that has a zone, such as 2026-01-31T12:00:00.000000Z."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse(text: str) -> str:
    """Return another program's text of a time in this form; one without a zone is in UTC.

    So are the contract's `str(now)`, and CometBFT's times with their nanoseconds, which the chain
    cuts off for `now` as this does. Raises ValueError.
    """
    time = datetime.fromisoformat(text)
    return rfc3339(time if time.tzinfo else time.replace(tzinfo=UTC))
