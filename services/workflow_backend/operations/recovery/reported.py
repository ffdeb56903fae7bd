"""What each request of a recovery may name: the report that its step is written down in."""

from pathlib import Path

from ..asking import Request


class Reported(Request):
    """A step of a recovery; `report` is a file on the control machine, or none."""

    report: Path | None = None
