"""Opening a projection's file, which may be another account's, so its content is not trusted."""

import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import ProjectionUnavailable
from . import files

READ_SECONDS = 30.0
"""Time limit of one read: to readers, the file is another account's."""

_OTHERS_CODE = "SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index') LIMIT 1"
_STEPS = 100_000  # SQLite instructions between two checks of the time limit, about 5 ms


class Database:
    """A connection that follows its path: a file that was replaced is reopened."""

    def __init__(
        self, path: Path, check: Callable[[sqlite3.Connection], None], *, create: bool = False
    ) -> None:
        self._path = path
        self._check = check
        self._create = create
        self._open: tuple[tuple[int, int], sqlite3.Connection] | None = None
        self._until = 0.0

    def connection(self) -> sqlite3.Connection:
        """Return the open connection; raises ProjectionUnavailable and what the check raises.

        A read-only connection has READ_SECONDS for the next statement.
        """
        self._until = time.monotonic() + READ_SECONDS
        if self._open is not None:
            identity, database = self._open
            if identity == self._identity():
                return database
            self.close()
        try:
            if self._create:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            database = connect(self._path, create=self._create)
        except (sqlite3.DatabaseError, OSError) as error:
            raise ProjectionUnavailable(f"{self._path} can't be opened: {error}") from error
        if not self._create:
            database.set_progress_handler(lambda: time.monotonic() > self._until, _STEPS)
        try:
            self._check(database)
        except BaseException:
            database.close()
            raise
        self._open = (self._identity(), database)
        return database

    def _identity(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open a regular file, else raise ProjectionUnavailable; raises SQLite's errors too."""
    if create:
        files.make(path)
    # Root may open a folder of another account, where a link would lead elsewhere.
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ProjectionUnavailable(
            f"{path} is not a regular file",
            hint="see who made it, and remove it: the projector creates a new projection",
        )
    database = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=5,
        autocommit=True,
        check_same_thread=False,
    )
    database.row_factory = sqlite3.Row
    try:
        database.execute("PRAGMA cache_size = -16384")  # KiB
        _refuse_code(path, database)
    except BaseException:
        database.close()
        raise
    return database


def _refuse_code(path: Path, database: sqlite3.Connection) -> None:
    """Refuse triggers, and views, which their author may make endless."""
    if database.execute(_OTHERS_CODE).fetchone():
        raise ProjectionUnavailable(
            f"{path} holds views or triggers, and a projection has none",
            hint="see who made it, and remove it: the projector creates a new projection",
        )
