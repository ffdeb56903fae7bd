"""Makes a snapshot of this host: state, index and projection in one folder, with a manifest.

The node goes on meanwhile. First comes the state, then the projection, then the index, once it has
all that the two others have: whoever starts from the state needs no block for the index from before
it.
"""

import fcntl
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field

from ...errors import ProjectionUnavailable, RecoveryRefused
from ...settings import Settings
from ..asking import Request
from . import files, index, manifest, node_programs, projection, retention, signatures
from .blocks import OwnStore, require_on_chain
from .index import IndexNow
from .journal import Journal
from .manifest import INDEX, SIGNATURES, STATE, FilePart, Manifest, ProjectionPart
from .postgres import Database

POLL_SECONDS = 0.1

type Object = dict[str, Any]


class Make(Request):
    """A snapshot to be made in `directory`, by the account that owns the node's home.

    `keep` of them stay. Peers are offered the newest `offers` states. `key_file` signs, where the
    host has a key. `room_bytes` is what has to stay free on the disk.
    """

    directory: Path
    host: str
    home: Path
    node_python: Path
    cometbft: Path
    postgres_bin: Path | None = None
    index: bool = True
    projection: bool = True
    keep: int = Field(default=7, ge=1)
    offers: int = Field(default=0, ge=0)
    key_file: Path | None = None
    index_seconds: float = 60.0
    room_bytes: int = 1 << 30


def make(settings: Settings, wanted: Make, *, check: bool) -> Object:
    """Make the snapshot; return its manifest and what was removed for it.

    Raises WorkflowError with nothing left of it. One snapshot is made at a time.
    """
    if check:
        return {"changed": [str(wanted.directory)], "snapshot": None, "removed": []}
    wanted.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    with _alone(wanted.directory):
        retention.remove_halves(wanted.directory)
        _Making(settings, wanted).require_room()
        half = Path(tempfile.mkdtemp(prefix=retention.MAKING, dir=wanted.directory))
        try:
            told = _Making(settings, wanted).fill(half)
            place = wanted.directory / told.name
            half.rename(place)
        finally:
            shutil.rmtree(half, ignore_errors=True)  # gone already when all went well
        files.sync(wanted.directory)
        under_way = Journal(wanted.home).read()
        needed = under_way.snapshot if under_way else None
        removed = [
            str(one.path)
            for one in retention.superfluous(retention.kept(wanted.directory), wanted.keep, needed)
            if retention.remove(one.path)
        ]
    return {
        "changed": [str(place), *removed],
        "snapshot": str(place),
        "manifest": json.loads(told.text()),
        "text": told.text(),
        "manifest_sha256": files.measure(place / manifest.NAME).sha256,
        "signed": wanted.key_file is not None,
        "removed": removed,
    }


class _Making:
    def __init__(self, settings: Settings, wanted: Make) -> None:
        self._settings = settings
        self._wanted = wanted
        self._index: Database | None = None
        if wanted.index:
            if wanted.postgres_bin is None:
                raise RecoveryRefused("postgres_bin is missing: it has pg_dump for the index")
            self._index = index.database(wanted.postgres_bin, settings.environment)

    def require_room(self) -> None:
        """Raise RecoveryRefused where the snapshot might fill the disk that the node needs."""
        state = self._wanted.home / "xian" / "lmdb" / "data.mdb"
        needed = 2 * (state.stat().st_size if state.exists() else 0)
        needed += self._index.size() if self._index else 0
        path = self._settings.projection_path
        needed += path.stat().st_size if self._wanted.projection and path.exists() else 0
        free = shutil.disk_usage(self._wanted.directory).free
        if free - needed < self._wanted.room_bytes:
            raise RecoveryRefused(
                f"{self._wanted.directory} has {free} bytes free: the snapshot may take {needed}, "
                f"and {self._wanted.room_bytes} have to stay free",
                hint="keep fewer snapshots, or make them on another disk",
            )

    def fill(self, folder: Path) -> Manifest:
        """Write all parts and the manifest into a folder."""
        state = node_programs.ask(
            self._wanted.node_python,
            {
                "action": "export",
                "home": str(self._wanted.home),
                "archive": str(folder / STATE),
                "offers": self._wanted.offers,
            },
        )
        projected = self._projection(folder) if self._wanted.projection else None
        indexed = self._dump_index(
            folder, max(state["height"], projected.height if projected else 0)
        )
        told = self._manifest(folder, state, projected, indexed)
        text = told.text()
        files.write(folder / manifest.NAME, text)
        if self._wanted.key_file is not None:
            signed = signatures.sign(text.encode(), self._wanted.key_file)
            files.write_json(folder / SIGNATURES, signed)
        for path in folder.iterdir():
            path.chmod(0o640)  # the folder's group may read it, whoever that is
            files.sync(path)
        folder.chmod(0o750)
        return told

    def _projection(self, folder: Path) -> ProjectionPart | None:
        try:
            return projection.copy(self._settings, folder, self._wanted.postgres_bin)
        except sqlite3.Error as error:
            raise ProjectionUnavailable(f"the projection can't be copied: {error}") from error

    def _dump_index(self, folder: Path, height: int) -> IndexNow | None:
        """Dump the index, once it has a height; raises RecoveryRefused where that takes too long.

        A block after the state's may never come, so no more than that height is waited for.
        """
        if self._index is None:
            return None
        deadline = time.monotonic() + self._wanted.index_seconds
        while True:
            now = self._index.ask(index.newest)
            if now is not None and now.height >= height:
                break
            if time.monotonic() > deadline:
                at = now.height if now else 0
                raise RecoveryRefused(
                    f"the index is at height {at} and has not come to {height} within "
                    f"{self._wanted.index_seconds:.0f} s",
                    hint="see workflow-backend health; "
                    "a snapshot without the index is made with index: false",
                )
            time.sleep(POLL_SECONDS)
        dumped = self._index.dump(index.SCHEMA, folder / INDEX, index.newest)
        if dumped is None:
            raise RecoveryRefused("the index was emptied while it was copied")
        return dumped

    def _manifest(
        self,
        folder: Path,
        state: Object,
        projected: ProjectionPart | None,
        indexed: IndexNow | None,
    ) -> Manifest:
        store = OwnStore(self._wanted.home, self._wanted.cometbft)
        look = store.look(state["height"], *([indexed.height] if indexed else []))
        made = datetime.now(UTC)
        told = Manifest(
            format=manifest.FORMAT,
            name=f"{made:%Y%m%dT%H%M%SZ}-h{state['height']}-{state['app_hash'][:12]}",
            host=self._wanted.host,
            made_at=made.isoformat(timespec="seconds"),
            chain_id=state["chain_id"],
            genesis_sha256=state["genesis_sha256"],
            height=state["height"],
            app_hash=state["app_hash"],
            block_time=look.block_time or "",
            index=indexed.part() if indexed else None,
            projection=projected,
            versions={
                "workflow-backend": version("workflow-backend"),
                "xian-tech-abci": state["app_version"],
            },
            files={path.name: _measured(path) for path in sorted(folder.iterdir())},  # type: ignore[misc]
        )
        require_on_chain(told.chain_id, told.height, told.app_hash, look)
        found = look.block_hashes.get(indexed.height) if indexed else None
        if indexed and found != indexed.block_hash:
            raise RecoveryRefused(
                f"the index has the block {indexed.block_hash} at height {indexed.height}, "
                f"the chain {found}",
                hint="it is another chain's: bring an index of this chain, or drop it",
            )
        return told


def _measured(path: Path) -> FilePart:
    return files.measure(path)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecoveryRefused(
                f"another snapshot is being made in {directory}", hint="wait until it is done"
            ) from None
        yield
