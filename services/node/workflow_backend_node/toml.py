"""Reads the TOML files of a home."""

import tomllib
from pathlib import Path
from typing import Any

from workflow_backend_node.requests import Refused


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file; raises `Refused` for what is not TOML, `OSError` as reading does."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{path}: {error}") from error
