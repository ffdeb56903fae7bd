"""What processor and handlers' process both know of a kind; the first learns it from the second."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

MAX_COUNT = 1000
MAX_SECONDS = 86400.0

type Count = Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)]
type Seconds = Annotated[float, Field(strict=True, gt=0, le=MAX_SECONDS)]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a try follows another: `tries` in all, the waits double from the first."""

    tries: Count
    first_seconds: Seconds
    longest_seconds: Seconds


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
