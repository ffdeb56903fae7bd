"""The numbered steps of the projection's schema, a folder for each database."""

from collections.abc import Iterator
from importlib import resources

from ... import notify
from ...errors import ProjectionUnavailable

LAYOUT = 1_000
"""Steps per layout. Within a layout, steps only add, so a release works with the schema of a later
one. A step that removes something starts the next layout, and earlier releases refuse that."""


TABLE = "CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY)"
"""The table of applied steps, in PostgreSQL."""

STEP_SECONDS = 3_600
"""Time limit of one step, for the service manager and the database."""


def newest(database: str) -> int:
    """Return the number of the newest step of a database."""
    return max(number for number, _ in steps(database, 0))


def begin_step() -> None:
    """Make the service manager wait longer for a service that starts with a step."""
    notify.send(EXTEND_TIMEOUT_USEC=STEP_SECONDS * 1_000_000)


def steps(database: str, version: int) -> Iterator[tuple[int, str]]:
    """Yield the number and SQL of each step after a version, in order."""
    folder = resources.files(__package__) / database
    for step in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number = int(step.name.partition("_")[0])
        if number > version:
            yield number, step.read_text(encoding="utf-8")


def require(name: str, version: int, newest: int) -> None:
    """Raise ProjectionUnavailable if the schema of the projection `name` is not the newest."""
    if version < newest:
        raise ProjectionUnavailable(
            f"{name} has schema {version}, this release needs {newest}",
            hint="start this release's projector: it migrates the schema",
        )
    refuse_newer(name, version, newest)


def refuse_newer(name: str, version: int, newest: int) -> None:
    """Raise ProjectionUnavailable if the projection has the layout of a newer release."""
    if version // LAYOUT > newest // LAYOUT:
        raise ProjectionUnavailable(
            f"{name} has schema {version} of a newer release, this one knows {newest}",
            hint="use that release, or rebuild the projection: workflow-backend projection rebuild",
        )
