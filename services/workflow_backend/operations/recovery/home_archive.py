"""A prepared home of a node, verified before it leaves the control machine."""

import hashlib
import json
import os
import tarfile
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from ...errors import RecoveryRefused
from ..archives import inspect
from ..network.report import Reported
from ..requests import Object

TOPS = ("", "./", ".cometbft/", "./.cometbft/")
GENESIS = "config/genesis.json"
KEY = "config/priv_validator_key.json"
NODE_KEY = "config/node_key.json"
SIGNED = "data/priv_validator_state.json"
BLOCKS = "data/blockstore.db"
STATE = "xian/lmdb/data.mdb"

_LARGEST = 16 << 20
"""Bytes of a genesis at most."""


class HomeArchive(Reported):
    """A home for a host: a .tar.gz, or a folder, which is packed into `pack`.

    The sum is checked where it is given.
    """

    path: Path
    pack: Path
    host: str
    chain_id: str
    genesis_sha256: str
    public_key: str
    sha256: str = Field("", pattern="^([0-9a-f]{64})?$")
    most_bytes: int = 1 << 40


def verify_home(request: HomeArchive, *, check: bool) -> Object:
    """Verify the archive of a home on the control machine; return its sum and content.

    Raises RecoveryRefused for what is not a complete home of this host's on this network.
    """
    del check  # a folder is packed either way: what is said of it has to be true
    archive = request.path
    if archive.is_dir():
        archive = _packed(archive, request.pack)
    elif not archive.is_file():
        raise RecoveryRefused(
            f"there is no {archive} on the control machine", hint="give a .tar.gz or a folder"
        )
    with archive.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if request.sha256 not in {"", sha256}:
        raise RecoveryRefused(
            f"{request.path} has the SHA-256 sum {sha256}, not {request.sha256}",
            hint="copy it again, or find out who changed it",
        )
    top, files, names = _read(request, archive)
    _require_layout(request, top, files, names)
    signed = _signed(request, files.get(top + SIGNED))
    return {
        "archive": str(archive),
        "packed": archive == request.pack,
        "top": top.removeprefix("./").rstrip("/"),
        "sha256": sha256,
        "bytes": archive.stat().st_size,
        "blocks": _has(names, top + BLOCKS),
        "signed": signed,
    }


def _packed(folder: Path, pack: Path) -> Path:
    pack.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pack.unlink(missing_ok=True)
    descriptor = os.open(pack, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it holds a key
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.add(folder, "", filter=_without_sockets)
    return pack


def _without_sockets(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out sockets, which a running node left. The check of the archive refuses links."""
    return None if member.type not in _KINDS else member


_KINDS = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE}


class _Names(set[str]):
    """The names of files to read, which records every name that it is asked about."""

    def __init__(self, to_read: set[str]) -> None:
        super().__init__(to_read)
        self.asked: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def _read(request: HomeArchive, archive: Path) -> tuple[str, Mapping[str, bytes], set[str]]:
    names = _Names({top + name for top in TOPS for name in (GENESIS, KEY, NODE_KEY, SIGNED)})
    files = inspect(archive, most_bytes=request.most_bytes, names=names, limit=_LARGEST)
    tops = [top for top in TOPS if top + KEY in files]
    if len(tops) != 1:
        what = "no home of a node" if not tops else "several homes"
        raise RecoveryRefused(
            f"{request.path} holds {what}: {KEY} has to be there once, at its top or in .cometbft",
            hint="pack the home itself: tar -C HOME -czf FILE .",
        )
    return tops[0], files, names.asked


def _has(names: set[str], path: str) -> bool:
    return any(name == path or name.startswith(f"{path}/") for name in names)


def _require_layout(
    request: HomeArchive, top: str, files: Mapping[str, bytes], names: set[str]
) -> None:
    missing = [name for name in (GENESIS, NODE_KEY) if top + name not in files]
    blocks, state = _has(names, top + BLOCKS), _has(names, top + STATE)
    if blocks != state:
        missing.append(STATE if blocks else BLOCKS)
    if missing:
        raise RecoveryRefused(
            f"{request.path} lacks {', '.join(missing)}: it is not a complete home",
            hint="pack all of the home, of a node that is stopped",
        )
    genesis = files[top + GENESIS]
    chain_id = _object(request, GENESIS, genesis).get("chain_id")
    if chain_id != request.chain_id:
        raise RecoveryRefused(
            f"{request.path} is a home of chain {chain_id!r}, not of {request.chain_id!r}",
            hint="give one of this network",
        )
    found = hashlib.sha256(genesis).hexdigest()
    if found != request.genesis_sha256:
        raise RecoveryRefused(
            f"{request.path} has another genesis of {chain_id} ({found}) than this network's",
            hint="give one of this network",
        )
    key = _public_key(request, _object(request, KEY, files[top + KEY]))
    if key != request.public_key:
        raise RecoveryRefused(
            f"{request.path} holds the validator's key {key}, the network gives {request.host} "
            f"{request.public_key}: it is another host's home",
            hint="give the home of this host",
        )


def _public_key(request: HomeArchive, key: Mapping[str, Any]) -> str:
    try:
        return b64decode(key["pub_key"]["value"], validate=True).hex()
    except LookupError, TypeError, ValueError:
        raise RecoveryRefused(f"{KEY} in {request.path} holds no key") from None


def _signed(request: HomeArchive, text: bytes | None) -> Object | None:
    if text is None:
        return None
    state = _object(request, SIGNED, text)
    try:
        return {"height": int(state["height"]), "round": int(state.get("round", 0))}
    except LookupError, TypeError, ValueError:
        raise RecoveryRefused(f"{SIGNED} in {request.path} has no height") from None


def _object(request: HomeArchive, name: str, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError, RecursionError:
        found = None
    if not isinstance(found, dict):
        raise RecoveryRefused(
            f"{name} in {request.path} is not a JSON object",
            hint="where it is encrypted, decrypt it with ansible-vault",
        )
    return found
