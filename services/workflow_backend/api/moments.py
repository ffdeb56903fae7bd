"""Times that clients give: RFC 3339, in UTC where they name no zone."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from ..chain.state_answers import LATEST_SECONDS


def _require_date(value: object) -> object:
    """Return the value; raises ValueError for a number, whose unit would be a guess."""
    if not isinstance(value, str | datetime):
        raise ValueError("expected a time such as 2026-01-31T12:00:00Z")  # noqa: TRY004
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("expected a time such as 2026-01-31T12:00:00Z")
    if isinstance(value, str) and re.search(r":[0-9.]+ [0-9]{2}:?[0-9]{2}$", value):
        raise ValueError("its + arrived as a space: write %2B, or give the time with a Z")
    return value


def _in_utc(time: datetime) -> datetime:
    """Return a time in UTC, taking one without a zone for UTC; raises ValueError."""
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("expected a time of the years 1 to 9999 in UTC") from None


def _since_1970(time: datetime) -> datetime:
    if not 0 <= math.ceil(time.timestamp()) <= LATEST_SECONDS:
        raise ValueError("expected a time of the years 1970 to 9999 in UTC")
    return time


Moment = Annotated[datetime, BeforeValidator(_require_date), AfterValidator(_in_utc)]
"""A time in UTC; a value that can't be one is refused in words."""

FutureMoment = Annotated[Moment, AfterValidator(_since_1970)]
"""One that the contract can count in seconds since 1970."""
