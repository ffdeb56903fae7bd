"""Verifies that a snapshot is complete, is what it says, and is trusted."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ... import times
from ...errors import RecoveryRefused, SettingError
from .. import archives
from ..requests import Request
from . import files, postgres, projection_copy, signatures
from .locks import shared_lock
from .manifest import (
    FORMAT,
    INDEX,
    SIGNATURES,
    SQLITE,
    STATE,
    VERIFIED,
    Digest,
    Height,
    Manifest,
    parse_manifest,
    read_manifest,
)
from .signatures import Trust

_METADATA = "metadata.json"
_EXPORTED = "exported_state.json"

type Object = dict[str, Any]


class Verify(Request):
    """A snapshot, and what it must be.

    `snapshot` is a folder, or an archive of a state alone as upstream's tool makes it. `height`,
    `app_hash` and, for an archive, `archive_sha256` pin it. With `postgres_bin` the index's dump is
    read to its end.
    """

    snapshot: Path
    trust: Trust
    chain_id: str
    genesis_sha256: Digest
    height: Height | None = None
    app_hash: Digest | None = None
    archive_sha256: Digest | None = None
    postgres_bin: Path | None = None


class Sign(Request):
    """A manifest to be signed in its folder, after what this machine knows of it was compared.

    The key is given, or a file that holds it.
    """

    snapshot: Path
    key: SecretStr | None = None
    key_file: Path | None = None
    chain_id: str
    genesis_sha256: Digest
    host: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A snapshot that is complete and trusted; `folder` is None for an archive of a state alone.

    `digest` identifies it.
    """

    manifest: Manifest
    digest: str
    trusted_for: str
    state: Path
    folder: Path | None


def verify(request: Verify, *, check: bool) -> Object:
    """Verify all of a snapshot that needs no node, and note in it that it was verified.

    Raises RecoveryRefused with the first thing that is wrong.
    """
    with shared_lock(request.snapshot):
        snapshot = verified(request)
        manifest = snapshot.manifest
        changed = []
        if snapshot.folder is not None:
            changed.append(str(snapshot.folder / VERIFIED))
            if not check:
                note(snapshot.folder)
        return {
            "changed": changed,
            "digest": snapshot.digest,
            "manifest": json.loads(manifest.text()),
            "trusted_for": snapshot.trusted_for,
        }


def note(folder: Path) -> None:
    """Note in a snapshot's folder that it was verified: the newest such stays whatever comes."""
    path = folder / VERIFIED
    files.write_json(path, {"at": times.now()})
    path.chmod(0o640)


def verified(request: Verify) -> Verified:
    """Verify what needs neither node nor peers; raises RecoveryRefused."""
    if request.snapshot.is_file():
        return _verified_archive(request)
    folder = request.snapshot
    files.require_plain(folder)
    given = read_manifest(folder)
    manifest = parse_manifest(given, folder)
    trusted_for = signatures.require(given, signatures.read(folder), request.trust, manifest.host)
    require_requested(manifest, request)
    files.require_same(folder, manifest)
    require_state(folder / STATE, manifest)
    if INDEX in manifest.files and request.postgres_bin is not None:
        postgres.check(folder / INDEX, request.postgres_bin)
    if SQLITE in manifest.files:
        projection_copy.check(folder / SQLITE, manifest)
    digest = hashlib.sha256(given).hexdigest()
    return Verified(manifest, digest, trusted_for, folder / STATE, folder)


def _verified_archive(request: Verify) -> Verified:
    archive = request.snapshot
    if None in {request.archive_sha256, request.height, request.app_hash}:
        raise RecoveryRefused(
            f"{archive} is an archive of a state alone: nothing signed vouches for it",
            hint="pin it: -e snapshots_archive_sha256=SHA256 -e snapshots_height=HEIGHT "
            "-e snapshots_app_hash=HASH",
        )
    part = files.measure(archive)
    if part.sha256 != request.archive_sha256:
        raise RecoveryRefused(
            f"{archive} has the sum {part.sha256}, not {request.archive_sha256}",
            hint="copy it again from where it was made, or use another one",
        )
    manifest = Manifest(
        format=FORMAT,
        name=f"archive-{part.sha256[:12]}",
        host="",
        made_at="",
        chain_id=request.chain_id,
        genesis_sha256=request.genesis_sha256,
        height=request.height or 0,
        app_hash=request.app_hash or "",
        block_time="",
        index=None,
        projection=None,
        versions={},
        files={STATE: part},
    )
    require_state(archive, manifest)
    return Verified(manifest, part.sha256, "its sum", archive, None)


def require_chain(manifest: Manifest, chain_id: str, genesis_sha256: str) -> None:
    """Raise RecoveryRefused where it is another chain's snapshot."""
    if manifest.chain_id != chain_id:
        raise RecoveryRefused(
            f"the snapshot is of chain {manifest.chain_id!r}, not {chain_id!r}",
            hint="use a snapshot of this chain",
        )
    if manifest.genesis_sha256 != genesis_sha256:
        raise RecoveryRefused(
            f"the snapshot is of another genesis of {manifest.chain_id} "
            f"({manifest.genesis_sha256}) than this network's ({genesis_sha256})",
            hint="use a snapshot of this network",
        )


def require_requested(manifest: Manifest, request: Verify) -> None:
    """Raise RecoveryRefused where it is another chain's snapshot, or another than the pinned."""
    require_chain(manifest, request.chain_id, request.genesis_sha256)
    if request.height not in {None, manifest.height}:
        raise RecoveryRefused(
            f"the snapshot is of height {manifest.height}, not {request.height}",
            hint="give the height of this one (-e snapshots_height=HEIGHT), or another snapshot",
        )
    if request.app_hash not in {None, manifest.app_hash}:
        raise RecoveryRefused(
            f"the snapshot has the app hash {manifest.app_hash}, not {request.app_hash}",
            hint="give the app hash of this one (-e snapshots_app_hash=HASH), or another snapshot",
        )


def require_state(archive: Path, manifest: Manifest) -> None:
    """Raise RecoveryRefused unless the archive is safe, whole, and the manifest's state."""
    free = shutil.disk_usage(archive.parent).free
    contents = archives.inspect(
        archive, most_bytes=free, names=(_METADATA, _EXPORTED), limit=1 << 16
    )
    if set(contents) != {_METADATA, _EXPORTED}:
        raise RecoveryRefused(
            f"{archive} holds no app's state: {_METADATA} or {_EXPORTED} is missing",
            hint="use another snapshot",
        )
    try:
        metadata = json.loads(contents[_METADATA])
        state = (metadata["chain_id"], int(metadata["height"]), metadata["app_hash"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise RecoveryRefused(f"{archive} does not say what it is: {error!r}") from error
    if state != (manifest.chain_id, manifest.height, manifest.app_hash):
        raise RecoveryRefused(
            f"{archive} says that it is chain {state[0]} at height {state[1]} with the app hash "
            f"{state[2]}, the manifest says {manifest.chain_id}, {manifest.height} and "
            f"{manifest.app_hash}",
            hint="use another snapshot",
        )


def sign(request: Sign, *, check: bool) -> Object:
    """Add a key's signature to a snapshot, of which only the manifest is needed.

    A control machine vouches for what a host says.
    """
    folder = request.snapshot
    given = read_manifest(folder)
    manifest = parse_manifest(given, folder)
    require_chain(manifest, request.chain_id, request.genesis_sha256)
    if manifest.host != request.host:
        raise RecoveryRefused(
            f"the snapshot says that it is of {manifest.host}, it was fetched from {request.host}",
            hint="sign none that you did not fetch from where it was made",
        )
    before = signatures.read(folder)
    key = request.key or request.key_file
    if key is None:
        raise SettingError("sign: neither key nor key_file was given")
    after = before | signatures.sign(given, key)
    place = folder / SIGNATURES
    if after != before and not check:
        files.write_json(place, after)
        place.chmod(0o640)
    return {
        "changed": [] if after == before else [str(place)],
        "name": manifest.name,
        "signatures": after,
    }
