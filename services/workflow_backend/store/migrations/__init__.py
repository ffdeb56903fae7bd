"""The numbered steps of the projection's schema, a folder for each database."""

from collections.abc import Iterator
from importlib import resources

from ... import notify
from ...errors import ProjectionUnavailable

LAYOUT = 1_000
"""So many steps make a layout, and within one they only add: what a release reads and writes stays
as it is, so that it goes on with the schema of a later one. A step that takes something away begins
the next thousand, and there is no way back behind it."""


TABLE = "CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY)"
"""Which steps a schema has seen, in PostgreSQL."""

STEP_SECONDS = 3_600
"""So long may a step over many rows take: manager and database are told to wait for it."""


def newest(database: str) -> int:
    """Return the number of the newest step of a database."""
    return max(number for number, _ in steps(database, 0))


def begin_step() -> None:
    """Have the service manager wait longer for a service that begins with a step."""
    notify.tell(EXTEND_TIMEOUT_USEC=STEP_SECONDS * 1_000_000)


def steps(database: str, version: int) -> Iterator[tuple[int, str]]:
    """Yield number and SQL of each step behind a version, in order."""
    folder = resources.files(__package__) / database
    for step in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number = int(step.name.partition("_")[0])
        if number > version:
            yield number, step.read_text(encoding="utf-8")


def require(name: str, version: int, newest: int) -> None:
    """Raise ProjectionUnavailable where the projection `name` has not the newest schema."""
    if version < newest:
        raise ProjectionUnavailable(
            f"{name} has schema {version}, this release needs {newest}",
            hint="start this release's projector: it brings the schema up",
        )
    refuse_newer(name, version, newest)


def refuse_newer(name: str, version: int, newest: int) -> None:
    """Raise ProjectionUnavailable where a newer release gave the projection another layout."""
    if version // LAYOUT > newest // LAYOUT:
        raise ProjectionUnavailable(
            f"{name} has schema {version} of a newer release, this one knows {newest}",
            hint="go on with that release, or make it anew: workflow-backend projection rebuild",
        )
