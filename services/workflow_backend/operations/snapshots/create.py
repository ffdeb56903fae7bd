"""Creates a snapshot of this host: state, index and projection in one folder, with a manifest.

The node keeps running. The state is copied first, then the projection, and then the index, once it
contains every block that the other two do. A node that starts from the state then needs no older
block for its index.
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
from ...times import rfc3339
from ..requests import Request
from . import files, index, node_programs, projection, retention, signatures
from .blocks import OwnStore, require_on_chain
from .index import IndexNow
from .journal import Journal
from .manifest import FORMAT, INDEX, MANIFEST, SIGNATURES, STATE, FilePart, Manifest, ProjectionPart
from .postgres import Database

POLL_SECONDS = 0.1

type Object = dict[str, Any]


class Create(Request):
    """Where and how to create a snapshot; the calling account owns the node's home.

    The newest `keep` snapshots stay in `directory`. Peers are offered the newest `offers` states.
    `key_file` signs the snapshot if the host has a key. `room_bytes` must stay free on the disk.
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


def create(settings: Settings, request: Create, *, check: bool) -> Object:
    """Create a snapshot and remove the oldest; return its manifest and what was removed.

    Raises WorkflowError with nothing left of it. One snapshot is made at a time.
    """
    if check:
        return {"changed": [str(request.directory)], "snapshot": None, "removed": []}
    request.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    with _locked(request.directory):
        retention.remove_halves(request.directory)
        _Snapshot(settings, request).require_room()
        half = Path(tempfile.mkdtemp(prefix=retention.MAKING, dir=request.directory))
        try:
            manifest = _Snapshot(settings, request).fill(half)
            place = request.directory / manifest.name
            half.rename(place)
        finally:
            shutil.rmtree(half, ignore_errors=True)  # gone already when all went well
        files.sync(request.directory)
        under_way = Journal(request.home).read()
        needed = under_way.snapshot if under_way else None
        removed = [
            str(one.path)
            for one in retention.superfluous(
                retention.kept(request.directory), request.keep, needed
            )
            if retention.remove(one.path)
        ]
    return {
        "changed": [str(place), *removed],
        "snapshot": str(place),
        "manifest": json.loads(manifest.text()),
        "text": manifest.text(),
        "manifest_sha256": files.measure(place / MANIFEST).sha256,
        "signed": request.key_file is not None,
        "removed": removed,
    }


class _Snapshot:
    def __init__(self, settings: Settings, request: Create) -> None:
        self._settings = settings
        self._request = request
        self._index: Database | None = None
        if request.index:
            if request.postgres_bin is None:
                raise RecoveryRefused(
                    "the folder of PostgreSQL's programs is not known, and the index needs pg_dump",
                    hint="set snapshots_postgres_bin, or leave the index out: "
                    "-e snapshots_index=false",
                )
            self._index = index.database(request.postgres_bin, settings.environment)

    def require_room(self) -> None:
        """Raise RecoveryRefused where the snapshot might fill the disk that the node needs."""
        state = self._request.home / "xian" / "lmdb" / "data.mdb"
        needed = 2 * (state.stat().st_size if state.exists() else 0)
        needed += self._index.size() if self._index else 0
        path = self._settings.projection_path
        needed += path.stat().st_size if self._request.projection and path.exists() else 0
        free = shutil.disk_usage(self._request.directory).free
        if free - needed < self._request.room_bytes:
            raise RecoveryRefused(
                f"{self._request.directory} has {free} bytes free: the snapshot may take {needed}, "
                f"and {self._request.room_bytes} have to stay free",
                hint="keep fewer snapshots, or make them on another disk",
            )

    def fill(self, folder: Path) -> Manifest:
        """Write all parts and the manifest into a folder."""
        state = node_programs.ask(
            self._request.node_python,
            {
                "action": "export",
                "home": str(self._request.home),
                "archive": str(folder / STATE),
                "offers": self._request.offers,
            },
        )
        projection_part = self._projection(folder) if self._request.projection else None
        index_part = self._dump_index(
            folder, max(state["height"], projection_part.height if projection_part else 0)
        )
        manifest = self._manifest(folder, state, projection_part, index_part)
        text = manifest.text()
        files.write(folder / MANIFEST, text)
        if self._request.key_file is not None:
            signed = signatures.sign(text.encode(), self._request.key_file)
            files.write_json(folder / SIGNATURES, signed)
        for path in folder.iterdir():
            path.chmod(0o640)  # the folder's group may read it, whoever that is
            files.sync(path)
        folder.chmod(0o750)
        return manifest

    def _projection(self, folder: Path) -> ProjectionPart | None:
        try:
            return projection.copy(self._settings, folder, self._request.postgres_bin)
        except sqlite3.Error as error:
            raise ProjectionUnavailable(f"the projection can't be copied: {error}") from error

    def _dump_index(self, folder: Path, height: int) -> IndexNow | None:
        """Dump the index, once it has a height; raises RecoveryRefused where that takes too long.

        A block after the state's may never come, so no more than that height is waited for.
        """
        if self._index is None:
            return None
        deadline = time.monotonic() + self._request.index_seconds
        while True:
            now = self._index.ask(index.newest)
            if now is not None and now.height >= height:
                break
            if time.monotonic() > deadline:
                at = now.height if now else 0
                raise RecoveryRefused(
                    f"the index is at height {at} and has not come to {height} within "
                    f"{self._request.index_seconds:.0f} s",
                    hint="see workflow-backend health; "
                    "-e snapshots_index=false makes a snapshot without the index",
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
        projection_part: ProjectionPart | None,
        index_part: IndexNow | None,
    ) -> Manifest:
        store = OwnStore(self._request.home, self._request.cometbft)
        inspection = store.inspect(state["height"], *([index_part.height] if index_part else []))
        made = datetime.now(UTC)
        manifest = Manifest(
            format=FORMAT,
            name=f"{made:%Y%m%dT%H%M%SZ}-h{state['height']}-{state['app_hash'][:12]}",
            host=self._request.host,
            made_at=rfc3339(made, "seconds"),
            chain_id=state["chain_id"],
            genesis_sha256=state["genesis_sha256"],
            height=state["height"],
            app_hash=state["app_hash"],
            block_time=inspection.block_time or "",
            index=index_part.part() if index_part else None,
            projection=projection_part,
            versions={
                "workflow-backend": version("workflow-backend"),
                "xian-tech-abci": state["app_version"],
            },
            files={path.name: _measured(path) for path in sorted(folder.iterdir())},  # type: ignore[misc]
        )
        require_on_chain(manifest.chain_id, manifest.height, manifest.app_hash, inspection)
        block_hash = inspection.block_hashes.get(index_part.height) if index_part else None
        if index_part and block_hash != index_part.block_hash:
            raise RecoveryRefused(
                f"the index has the block {index_part.block_hash} at height {index_part.height}, "
                f"the chain {block_hash}",
                hint="it is another chain's: bring an index of this chain, or drop it",
            )
        return manifest


def _measured(path: Path) -> FilePart:
    return files.measure(path)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecoveryRefused(
                f"another snapshot is being made in {directory}", hint="wait until it is done"
            ) from None
        yield
