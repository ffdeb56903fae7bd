"""What a restore has done so far, on the disk before each step: killed anywhere, it can go on.

It lies beside the node's home, in the folder that the new state is made in and the old one waits
in. The node's app does not start while it says that state and index are being changed.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import RecoveryRefused
from ...validation import problems
from ..regular_files import read_regular_file
from . import files
from .manifest import MOST_BYTES, IndexPart

FOLDER = "restore"
FILE = "journal.json"

type Phase = Literal["prepared", "swapping", "swapped", "undoing", "finishing"]


class Entry(BaseModel):
    """A restore in progress.

    `digest` tells the snapshot from any other. `had_state` is whether there was an old state to
    put back. `index` is what the index has to be, None where the one in use stays; the old one
    waits in the schema `aside`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: Phase
    name: str
    digest: str
    snapshot: Path
    chain_id: str
    height: int
    app_hash: str
    had_state: bool
    index: IndexPart | None
    aside: str
    begun_at: str


class Journal:
    """The journal of a home's restore."""

    def __init__(self, home: Path) -> None:
        self.folder = home.parent / FOLDER
        self.path = self.folder / FILE

    def read(self) -> Entry | None:
        """Return the restore in progress, None if there is none; raises RecoveryRefused."""
        try:
            text = read_regular_file(self.path, MOST_BYTES)
        except FileNotFoundError:
            return None
        try:
            return Entry.model_validate_json(text)
        except ValidationError as error:
            raise RecoveryRefused(
                f"{self.path} can't be read: {problems(error)}",
                hint="it belongs to another release: finish or undo the restore with that one",
            ) from None

    def write(self, entry: Entry) -> None:
        """Put down what comes next."""
        files.write_json(self.path, json.loads(entry.model_dump_json()))

    def forget(self) -> None:
        """End the restore."""
        self.path.unlink()
        files.sync(self.folder)
