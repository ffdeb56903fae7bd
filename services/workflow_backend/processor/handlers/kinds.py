"""What processor and handlers' process both know of a kind of items.

The handlers' process reads it from its file and tells the processor.
"""

import random
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

MAX_COUNT = 1000
MAX_SECONDS = 86400.0

type Count = Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)]
type Seconds = Annotated[float, Field(strict=True, gt=0, le=MAX_SECONDS)]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a try follows a failed one: exponential backoff with jitter, up to `tries` in all."""

    tries: Count
    first_seconds: Seconds
    longest_seconds: Seconds

    def wait_after(
        self, tries: int, after: float | None, jitter: float | None = None
    ) -> float | None:
        """Return the seconds from failed try number `tries` to the next, None if it was the last.

        `after` is the shortest wait that the handler asked for. `jitter`, from 0 to 1 and random by
        default, shortens the wait by up to a half, so that items that failed together do not come
        back together.
        """
        if tries >= self.tries:
            return None
        doubled = self.first_seconds * 2.0 ** min(tries - 1, 64)
        share = 1.0 - 0.5 * (random.random() if jitter is None else jitter)  # noqa: S311 - no secret
        return max(min(doubled, self.longest_seconds) * share, after or 0.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """How many of a kind run at once, for how long each, and what follows a try that failed."""

    concurrency: Count
    timeout_seconds: Seconds
    retry: RetryPolicy


_KINDS = TypeAdapter(Annotated[dict[str, Kind], Field(max_length=MAX_COUNT)])


def kinds_from(value: object) -> dict[str, Kind]:
    """Build kinds by their names from what `asdict` gave; raises ValueError on anything else."""
    try:
        return _KINDS.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "kinds"
        raise ValueError(f"{where}: {first['msg']}") from None
