"""A host's manifest, signed by the control machine once the nodes have confirmed those very bytes.

What a host says is a text until it has passed the manifest's model: only then a name of it becomes
a folder here, and what is signed is that text and nothing that is read again.
"""

import hashlib
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from ...errors import RecoveryRefused
from ..asking import Request
from ..upgrades.nodes import Way
from . import files, manifest, peers, signatures
from .manifest import MOST_BYTES, NAME, SIGNATURES, Digest
from .peers import Agree
from .signatures import Signatures
from .verifying import require_chain


class Admit(Request):
    """A manifest as its host gives it, and what it has to be: of this chain, and of that host.

    `agree` of the nodes have to confirm its app hash within so many seconds, and none may
    contradict. Manifest and signature are written to a folder of its name in `directory`.
    """

    manifest: str = Field(max_length=MOST_BYTES)
    host: str
    chain_id: str
    genesis_sha256: Digest
    nodes: dict[str, Way]
    agree: int = Field(ge=0)
    seconds: float = Field(default=20.0, ge=0)
    directory: Path
    key: SecretStr


def admit(wanted: Admit, *, check: bool) -> dict[str, Any]:
    """Sign it; answer with what it says, its signature and what the nodes say.

    Raises RecoveryRefused with nothing written.
    """
    where = Path(f"what {wanted.host} gives")
    given = wanted.manifest.encode()
    told = manifest.parse(given, where)
    require_chain(told, wanted.chain_id, wanted.genesis_sha256)
    if told.host != wanted.host:
        raise RecoveryRefused(
            f"{wanted.host} gives a manifest that says that it is of {told.host}",
            hint="find out how it came there before anything is signed",
        )
    question = Agree(
        chain_id=told.chain_id,
        height=told.height,
        app_hash=told.app_hash,
        nodes=wanted.nodes,
        agree=wanted.agree,
        seconds=wanted.seconds,
    )
    said = peers.agree(question, check=check)
    signed = signatures.sign(given, wanted.key)
    folder = wanted.directory / told.name
    if not check:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(folder / NAME, wanted.manifest)
        files.write_json(folder / SIGNATURES, signed)
    return {
        "changed": [str(folder)],
        "folder": str(folder),
        "manifest": told.model_dump(mode="json"),
        "name": told.name,
        "height": told.height,
        "app_hash": told.app_hash,
        "files": sorted(told.files),
        "manifest_sha256": hashlib.sha256(given).hexdigest(),
        "signatures": signed,
        "peers": said["peers"],
    }


class Countersign(Request):
    """Signatures of others for a snapshot that lies here, by the account that owns it."""

    snapshot: Path
    signatures: Signatures


def countersign(wanted: Countersign, *, check: bool) -> dict[str, Any]:
    """Add the signatures to those that are there."""
    manifest.parse(manifest.read(wanted.snapshot), wanted.snapshot)
    before = signatures.read(wanted.snapshot)
    after = before | wanted.signatures
    place = wanted.snapshot / SIGNATURES
    if after != before and not check:
        files.write_json(place, after)
        place.chmod(0o640)
    return {"changed": [] if after == before else [str(place)]}
