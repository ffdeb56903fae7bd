"""A host's manifest, signed by the control machine once the nodes have confirmed those very bytes.

What a host says is a text until it has passed the manifest's model: only then a name of it becomes
a folder here, and what is signed is that text and nothing that is read again.
"""

import hashlib
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from ...errors import RecoveryRefused
from ..network import app_hashes
from ..network.app_hashes import AppHashQuestion
from ..network.endpoints import NodeAddress
from ..requests import Request
from . import files, signatures
from .manifest import MANIFEST, MOST_BYTES, SIGNATURES, Digest, parse_manifest, read_manifest
from .signatures import Signatures
from .verify import require_chain


class Admit(Request):
    """A manifest as its host gives it, and what it has to be: of this chain, and of that host.

    `agree` of the nodes have to confirm its app hash within so many seconds, and none may
    contradict. Manifest and signature are written to a folder of its name in `directory`.
    """

    manifest: str = Field(max_length=MOST_BYTES)
    host: str
    chain_id: str
    genesis_sha256: Digest
    nodes: dict[str, NodeAddress]
    node_ids: dict[str, str]
    agree: int = Field(ge=0)
    seconds: float = Field(default=20.0, ge=0)
    directory: Path
    key: SecretStr


def admit(request: Admit, *, check: bool) -> dict[str, Any]:
    """Let the nodes confirm a host's new manifest, and sign it; return both.

    Raises RecoveryRefused with nothing written.
    """
    where = Path(f"the manifest that {request.host} gives")
    given = request.manifest.encode()
    manifest = parse_manifest(given, where)
    require_chain(manifest, request.chain_id, request.genesis_sha256)
    if manifest.host != request.host:
        raise RecoveryRefused(
            f"{request.host} gives a manifest that says that it is of {manifest.host}",
            hint="find out how it came there before anything is signed",
        )
    folder = request.directory / manifest.name
    if (folder / MANIFEST).exists():
        raise RecoveryRefused(
            f"{request.host} gives its new snapshot the name of one that lies in {folder} already",
            hint="find out why: what lies there is not replaced",
        )
    question = AppHashQuestion(
        chain_id=manifest.chain_id,
        height=manifest.height,
        app_hash=manifest.app_hash,
        nodes=request.nodes,
        node_ids=request.node_ids,
        agree=request.agree,
        seconds=request.seconds,
    )
    agreement = app_hashes.agree(question, check=check)
    signed = signatures.sign(given, request.key)
    if not check:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(folder / MANIFEST, request.manifest)
        files.write_json(folder / SIGNATURES, signed)
    return {
        "changed": [str(folder)],
        "folder": str(folder),
        "manifest": manifest.model_dump(mode="json"),
        "name": manifest.name,
        "height": manifest.height,
        "app_hash": manifest.app_hash,
        "files": {name: part.size for name, part in manifest.files.items()},
        "manifest_sha256": hashlib.sha256(given).hexdigest(),
        "signatures": signed,
        "peers": agreement["peers"],
    }


class Countersign(Request):
    """Signatures of others for a snapshot that lies here, by the account that owns it."""

    snapshot: Path
    signatures: Signatures


def countersign(request: Countersign, *, check: bool) -> dict[str, Any]:
    """Add signatures that were made elsewhere to a snapshot."""
    parse_manifest(read_manifest(request.snapshot), request.snapshot)
    before = signatures.read(request.snapshot)
    after = before | request.signatures
    place = request.snapshot / SIGNATURES
    if after != before and not check:
        files.write_json(place, after)
        place.chmod(0o640)
    return {"changed": [] if after == before else [str(place)]}
