"""A snapshot tried out, in a folder of its own: nothing that runs on this host is touched.

The state is imported, the index loaded into a PostgreSQL of its own, the projection opened. Then
they are held against each other: the index knows in which block each item came, so it tells how
many items the state and the projection must have at their heights.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from ...errors import RecoveryRefused
from ...store.postgresql import LIVE
from . import index, node_programs, projection, retention, verify
from .locks import shared_lock
from .manifest import INDEX, POSTGRESQL, SQLITE
from .postgres import Database, DatabaseFailed
from .projection_copy import count_items
from .verify import Verified, Verify

START_SECONDS = 30.0
_UNTIL = """
SELECT count(DISTINCT key) FROM state_changes WHERE starts_with(key, $1) AND block_height <= $2
"""

# It must not outlive this program, whose folder it is in.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

type Object = dict[str, Any]


class Drill(Verify):
    """A snapshot, or a folder of them whose newest is meant, and a folder to try it out in.

    `contract` is the one whose items are counted.
    """

    scratch: Path
    node_python: Path
    contract: str


def drill(request: Drill, *, check: bool) -> Object:
    """Restore a snapshot in a scratch folder; return heights, counts and seconds of each step.

    Raises WorkflowError with the first thing that is wrong; nothing is left of it then either.
    """
    request = request.model_copy(update={"snapshot": _newest(request.snapshot)})
    with shared_lock(request.snapshot):
        return _drill(request, check=check)


def _drill(request: Drill, *, check: bool) -> Object:
    clock = _Clock()
    found = verify.verified(request)
    manifest = found.manifest
    clock.passed("verify")
    report: Object = {
        "changed": [],
        "snapshot": str(request.snapshot),
        "height": manifest.height,
        "app_hash": manifest.app_hash,
        "made_at": manifest.made_at,
        "trusted_for": found.trusted_for,
    }
    if not check:
        request.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A short name: a socket's path has 107 bytes at most.
        with tempfile.TemporaryDirectory(prefix="d", dir=request.scratch) as scratch:
            report |= _Trial(request, found, Path(scratch), clock).run()
        # What was uploaded for the drill is another account's, and is not kept.
        if found.folder is not None and os.access(found.folder, os.W_OK):
            verify.note(found.folder)
    return report | {"seconds": clock.seconds}


def _newest(path: Path) -> Path:
    snapshots = retention.kept(path)
    if snapshots:
        return snapshots[0].path
    return path


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def passed(self, step: str) -> None:
        now = time.monotonic()
        self.seconds[step] = round(now - self._since, 2)
        self._since = now


class _Trial:
    def __init__(self, request: Drill, found: Verified, scratch: Path, clock: _Clock) -> None:
        self._request = request
        self._found = found
        self._manifest = found.manifest
        self._scratch = scratch
        self._clock = clock

    def run(self) -> Object:
        report: Object = {"state": self._state(), "index": None, "projection": None}
        self._clock.passed("state")
        files = self._manifest.files
        if SQLITE in files and self._found.folder:
            report["projection"] = {"items": count_items(self._found.folder / SQLITE)}
            self._clock.passed("projection")
        if INDEX in files or POSTGRESQL in files:
            with self._database() as database:
                self._clock.passed("PostgreSQL")
                self._load(database, report)
        return report

    def _state(self) -> Object:
        made = node_programs.ask(
            self._request.node_python,
            {
                "action": "import",
                "archive": str(self._found.state),
                "storage": str(self._scratch / "xian"),
                "chain_id": self._manifest.chain_id,
                "height": self._manifest.height,
                "app_hash": self._manifest.app_hash,
            },
        )
        counted = node_programs.ask(
            self._request.node_python,
            {"action": "count", "storage": str(self._scratch / "xian"), "prefix": self._prefix},
        )
        return {"keys": made["keys"], "items": counted["keys"]}

    @property
    def _prefix(self) -> str:
        return f"{self._request.contract}.items:"

    def _load(self, database: Database, report: Object) -> None:
        folder, manifest = self._found.folder, self._manifest
        if folder and manifest.index and INDEX in manifest.files:
            schema = index.schema(self._request.node_python, manifest.index)
            database.load_and_swap(folder / INDEX, schema, "aside")
            self._clock.passed("index")
        if folder and POSTGRESQL in manifest.files:
            rows = folder / POSTGRESQL
            schema = projection.schema(rows, self._request.postgres_bin)
            database.load_and_swap(rows, schema, "aside_too")
            report["projection"] = {"items": database.ask(_count_rows)}
            self._clock.passed("projection")
        if manifest.index:
            report["index"] = {
                "height": manifest.index.height,
                "items": self._require_same(database, manifest.height, report["state"], "state"),
            }
            if manifest.projection and report["projection"]:
                self._require_same(
                    database, manifest.projection.height, report["projection"], "projection"
                )
            self._clock.passed("compare")

    def _require_same(self, database: Database, height: int, part: Object, name: str) -> int:
        async def count(connection: asyncpg.Connection) -> int:
            return int(await connection.fetchval(_UNTIL, self._prefix, height))

        indexed = database.ask(count)
        if part["items"] != indexed:
            raise RecoveryRefused(
                f"the {name} has {part['items']} items at height {height}, the index {indexed}",
                hint="one of them is damaged: workflow-backend projection verify tells which, "
                "where the snapshot was made",
            )
        return indexed

    @contextmanager
    def _database(self) -> Iterator[Database]:
        """A PostgreSQL of its own, for as long as the block runs."""
        programs = self._request.postgres_bin
        if programs is None:
            raise RecoveryRefused(
                "the folder of PostgreSQL's programs is not known",
                hint="set snapshots_postgres_bin to the folder of initdb and pg_restore",
            )
        data = self._scratch / "data"
        initdb = ("--auth=trust", "--encoding=UTF8", "--no-sync", "--username=drill")
        _run(programs / "initdb", f"--pgdata={data}", *initdb)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._scratch),
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._scratch / "log").open("wb") as log:
            server = subprocess.Popen(
                [*_WITH_US, str(programs / "postgres"), "-D", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            dsn = f"postgresql:///postgres?host={self._scratch}&user=drill"
            database = Database(dsn, "the drill's database", programs)
            _wait(database, server)
            yield database
        finally:
            server.terminate()
            server.wait()


def _run(program: Path, *arguments: str) -> None:
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DatabaseFailed(f"{program.name} fails: {done.stderr.strip()}")


def _wait(database: Database, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            database.size()
        except DatabaseFailed:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


async def _count_rows(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {LIVE}.items"))  # noqa: S608
