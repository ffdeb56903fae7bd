"""The numbered steps of the projection's schema, a folder for each database."""

from collections.abc import Iterator
from importlib import resources


def newest(database: str) -> int:
    """Return the number of the newest step of a database."""
    return max(number for number, _ in steps(database, 0))


def steps(database: str, version: int) -> Iterator[tuple[int, str]]:
    """Yield number and SQL of each step behind a version, in order."""
    folder = resources.files(__package__) / database
    for step in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number = int(step.name.partition("_")[0])
        if number > version:
            yield number, step.read_text(encoding="utf-8")
