"""Whether a snapshot is whole, is what it says, and is trusted: nothing is written for that."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from ...errors import RecoveryRefused, SettingError
from .. import archives
from ..asking import Request
from . import files, manifest, postgres, projected, signatures
from .holding import held
from .manifest import INDEX, SIGNATURES, SQLITE, STATE, VERIFIED, Digest, Height, Manifest
from .peers import ask_peers, require_agreement
from .signatures import Trust

_METADATA = "metadata.json"
_EXPORTED = "exported_state.json"

type Object = dict[str, Any]


class Verify(Request):
    """A snapshot, and what it has to be.

    `height` and `app_hash` pin it. A file is an archive of a state alone, as upstream's tool makes
    it, and pinned by its sum as well. `peers` are RPC addresses; `agree` of them, with node ids of
    their own, have to confirm the app hash, and none may contradict. With `postgres_bin` the
    index's dump is read to its end.
    """

    snapshot: Path
    trust: Trust
    chain_id: str
    genesis_sha256: Digest
    height: Height | None = None
    app_hash: Digest | None = None
    archive_sha256: Digest | None = None
    peers: list[str] = Field(default_factory=list)
    agree: int = Field(default=0, ge=0)
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
    peers: list[str] = Field(default_factory=list)
    agree: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class Verified:
    """A snapshot that is whole and trusted; `folder` is None where it is a state's archive alone.

    `digest` tells it from any other.
    """

    manifest: Manifest
    digest: str
    trusted_for: str
    state: Path
    folder: Path | None


def verify(wanted: Verify, *, check: bool) -> Object:
    """Verify everything of a snapshot that can be without the node, and note that it was.

    Raises RecoveryRefused with the first thing that is wrong.
    """
    with held(wanted.snapshot):
        found = verified(wanted)
        told = found.manifest
        peers = ask_peers(wanted.peers, told.chain_id, told.height)
        require_agreement(told.height, told.app_hash, peers, wanted.agree)
        changed = []
        if found.folder is not None:
            changed.append(str(found.folder / VERIFIED))
            if not check:
                note(found.folder)
        return {
            "changed": changed,
            "digest": found.digest,
            "manifest": json.loads(told.text()),
            "trusted_for": found.trusted_for,
            "peers": [asdict(peer) for peer in peers],
        }


def note(folder: Path) -> None:
    """Note in a snapshot's folder that it was verified: the newest such stays whatever comes."""
    path = folder / VERIFIED
    files.write_json(path, {"at": datetime.now(UTC).isoformat(timespec="seconds")})
    path.chmod(0o640)


def verified(wanted: Verify) -> Verified:
    """Verify what needs neither node nor peers; raises RecoveryRefused."""
    if wanted.snapshot.is_file():
        return _verified_archive(wanted)
    folder = wanted.snapshot
    files.require_plain(folder)
    given = manifest.read(folder)
    told = manifest.parse(given, folder)
    trusted_for = signatures.require(given, signatures.read(folder), wanted.trust, told.host)
    require_wanted(told, wanted)
    files.require_same(folder, told)
    require_state(folder / STATE, told)
    if INDEX in told.files and wanted.postgres_bin is not None:
        postgres.check(folder / INDEX, wanted.postgres_bin)
    if SQLITE in told.files:
        projected.check(folder / SQLITE, told)
    digest = hashlib.sha256(given).hexdigest()
    return Verified(told, digest, trusted_for, folder / STATE, folder)


def _verified_archive(wanted: Verify) -> Verified:
    archive = wanted.snapshot
    if None in {wanted.archive_sha256, wanted.height, wanted.app_hash}:
        raise RecoveryRefused(
            f"{archive} is an archive of a state alone: nothing signed vouches for it",
            hint="pin it by archive_sha256, height and app_hash",
        )
    found = files.measure(archive)
    if found.sha256 != wanted.archive_sha256:
        raise RecoveryRefused(
            f"{archive} has the sum {found.sha256}, not {wanted.archive_sha256}",
            hint="copy it again from where it was made, or use another one",
        )
    told = Manifest(
        format=manifest.FORMAT,
        name=f"archive-{found.sha256[:12]}",
        host="",
        made_at="",
        chain_id=wanted.chain_id,
        genesis_sha256=wanted.genesis_sha256,
        height=wanted.height or 0,
        app_hash=wanted.app_hash or "",
        block_time="",
        index=None,
        projection=None,
        versions={},
        files={STATE: found},
    )
    require_state(archive, told)
    return Verified(told, found.sha256, "its sum", archive, None)


def require_chain(told: Manifest, chain_id: str, genesis_sha256: str) -> None:
    """Raise RecoveryRefused where it is another chain's snapshot."""
    if told.chain_id != chain_id:
        raise RecoveryRefused(
            f"the snapshot is of chain {told.chain_id!r}, not {chain_id!r}",
            hint="use a snapshot of this chain",
        )
    if told.genesis_sha256 != genesis_sha256:
        raise RecoveryRefused(
            f"the snapshot is of another genesis of {told.chain_id} "
            f"({told.genesis_sha256}) than wanted ({genesis_sha256})",
            hint="use a snapshot of this network",
        )


def require_wanted(told: Manifest, wanted: Verify) -> None:
    """Raise RecoveryRefused where it is another chain's snapshot, or another than the pinned."""
    require_chain(told, wanted.chain_id, wanted.genesis_sha256)
    if wanted.height not in {None, told.height}:
        raise RecoveryRefused(
            f"the snapshot is of height {told.height}, not {wanted.height}",
            hint="give the height of the one that you want",
        )
    if wanted.app_hash not in {None, told.app_hash}:
        raise RecoveryRefused(
            f"the snapshot has the app hash {told.app_hash}, not {wanted.app_hash}",
            hint="give the app hash of the one that you want",
        )


def require_state(archive: Path, told: Manifest) -> None:
    """Raise RecoveryRefused where the state's archive is not safe, whole, and what is told."""
    free = shutil.disk_usage(archive.parent).free
    found = archives.look_through(
        archive, most_bytes=free, wanted=(_METADATA, _EXPORTED), limit=1 << 16
    )
    if set(found) != {_METADATA, _EXPORTED}:
        raise RecoveryRefused(
            f"{archive} holds no app's state: {_METADATA} or {_EXPORTED} is missing",
            hint="use another snapshot",
        )
    try:
        metadata = json.loads(found[_METADATA])
        state = (metadata["chain_id"], int(metadata["height"]), metadata["app_hash"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise RecoveryRefused(f"{archive} does not say what it is: {error!r}") from error
    if state != (told.chain_id, told.height, told.app_hash):
        raise RecoveryRefused(
            f"{archive} says that it is chain {state[0]} at height {state[1]} with the app hash "
            f"{state[2]}, the manifest tells {told.chain_id}, {told.height} and {told.app_hash}",
            hint="use another snapshot",
        )


def sign(wanted: Sign, *, check: bool) -> Object:
    """Add a key's signature to a snapshot; the manifest alone need be there.

    A control machine vouches for what a host told it, and for what peers confirmed.
    """
    folder = wanted.snapshot
    given = manifest.read(folder)
    told = manifest.parse(given, folder)
    require_chain(told, wanted.chain_id, wanted.genesis_sha256)
    if told.host != wanted.host:
        raise RecoveryRefused(
            f"the snapshot says that it is of {told.host}, it was fetched from {wanted.host}",
            hint="sign none that you did not fetch from where it was made",
        )
    peers = ask_peers(wanted.peers, told.chain_id, told.height)
    require_agreement(told.height, told.app_hash, peers, wanted.agree)
    before = signatures.read(folder)
    key = wanted.key or wanted.key_file
    if key is None:
        raise SettingError("sign: neither key nor key_file was given")
    after = before | signatures.sign(given, key)
    place = folder / SIGNATURES
    if after != before and not check:
        files.write_json(place, after)
        place.chmod(0o640)
    return {
        "changed": [] if after == before else [str(place)],
        "name": told.name,
        "signatures": after,
        "peers": [asdict(peer) for peer in peers],
    }
