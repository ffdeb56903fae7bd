"""Snapshots made by hand, for tests that need no node."""

import asyncio
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xian_py import Wallet

from workflow_backend.operations.snapshots import files, signatures
from workflow_backend.operations.snapshots.manifest import MANIFEST, SIGNATURES, STATE, Manifest
from workflow_backend.operations.snapshots.signatures import Trust
from workflow_backend.operations.snapshots.verify import Verify
from workflow_backend.store.sqlite import SqliteStore

CHAIN = "unit-1"
GENESIS = "ab" * 32
APP_HASH = "cd" * 32
HEIGHT = 12


def archive(path: Path, members: Mapping[str, bytes | tarfile.TarInfo]) -> None:
    """Write a .tar.gz of files, or of members as they are given."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    """Return a member's header as it stands in a .tar."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


END = bytes(2 * tarfile.BLOCKSIZE)


def zipped(path: Path, *parts: bytes) -> None:
    """Write a .tar.gz of bytes as they are given."""
    with gzip.open(path, "wb", 1) as file:
        for part in parts:
            file.write(part)


def state(path: Path, **changes: Any) -> None:
    """Write a state's archive; upstream alone could read its content."""
    metadata = {"chain_id": CHAIN, "height": HEIGHT, "app_hash": APP_HASH, **changes}
    members = {"metadata.json": json.dumps(metadata).encode(), "exported_state.json": b"{}" * 9}
    archive(path, members)


def projection(path: Path, chain_id: str = CHAIN) -> None:
    """Write a projection with nothing in it, as one file."""

    async def write() -> None:
        store = SqliteStore(path.with_name("live.sqlite3"), chain_id, "con_unit")
        await store.prepare()
        await store.copy_to(path)
        await store.close()

    asyncio.run(write())
    for left in path.parent.glob("live.sqlite3*"):
        left.unlink()


def seal(folder: Path, key: Path | None = None, **changes: Any) -> Manifest:
    """Write manifest and signature over what lies in a folder; return the manifest."""
    for name in (MANIFEST, SIGNATURES):
        (folder / name).unlink(missing_ok=True)
    parts = {path.name: files.measure(path).model_dump() for path in folder.iterdir()}
    manifest = {
        "format": 1,
        "name": folder.name,
        "host": "alpha",
        "made_at": "2026-01-01T00:00:00+00:00",
        "chain_id": CHAIN,
        "genesis_sha256": GENESIS,
        "height": HEIGHT,
        "app_hash": APP_HASH,
        "block_time": "",
        "index": None,
        "projection": None,
        "versions": {},
        "files": parts,
        **changes,
    }
    text = json.dumps(manifest)
    (folder / MANIFEST).write_text(text)
    if key is not None:
        (folder / SIGNATURES).write_text(json.dumps(signatures.sign(text.encode(), key)))
    return Manifest.model_validate_json(text)


def snapshot(folder: Path, key: Path | None = None, **changes: Any) -> Path:
    """Write a whole snapshot of a state alone."""
    folder.mkdir(parents=True)
    state(folder / STATE)
    seal(folder, key, **changes)
    return folder


def key(path: Path) -> str:
    """Write a key; return its public part."""
    wallet = Wallet()
    path.write_text(f"{wallet.private_key}\n")
    public: str = wallet.public_key
    return public


def verify_request(folder: Path, trust: Trust, **changes: Any) -> Verify:
    """Return the request to verify a snapshot."""
    return Verify(
        **{
            "snapshot": folder,
            "trust": trust,
            "chain_id": CHAIN,
            "genesis_sha256": GENESIS,
            **changes,
        }
    )
