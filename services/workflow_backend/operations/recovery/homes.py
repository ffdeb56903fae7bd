"""A prepared home of a node, looked through before it leaves the control machine."""

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
from ..archives import look_through
from ..asking import Object
from .reported import Reported

TOPS = ("", "./", ".cometbft/", "./.cometbft/")
GENESIS = "config/genesis.json"
KEY = "config/priv_validator_key.json"
NODE_KEY = "config/node_key.json"
SIGNED = "data/priv_validator_state.json"
BLOCKS = "data/blockstore.db"
STATE = "xian/lmdb/data.mdb"

_LARGEST = 16 << 20
"""Bytes of a genesis at most."""


class Home(Reported):
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


def home(wanted: Home, *, check: bool) -> Object:
    """Answer with the archive, its sum and what is in it; the host is asked for nothing yet.

    Raises RecoveryRefused for what is no whole home of this host's on this network.
    """
    del check  # a folder is packed either way: what is told of it has to be true
    archive = wanted.path
    if archive.is_dir():
        archive = _packed(archive, wanted.pack)
    elif not archive.is_file():
        raise RecoveryRefused(
            f"there is no {archive} on the control machine", hint="give a .tar.gz or a folder"
        )
    with archive.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if wanted.sha256 not in {"", sha256}:
        raise RecoveryRefused(
            f"{wanted.path} has the SHA-256 sum {sha256}, not {wanted.sha256}",
            hint="copy it again, or find out who changed it",
        )
    top, files, names = _read(wanted, archive)
    _require_layout(wanted, top, files, names)
    signed = _signed(wanted, files.get(top + SIGNED))
    return {
        "archive": str(archive),
        "packed": archive == wanted.pack,
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
        tar.add(folder, "", filter=_plain)
    return pack


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave sockets out: they are of a node that ran. Links are told by who looks it through."""
    return None if member.type not in _KINDS else member


_KINDS = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE}


class _Names(set[str]):
    """Stands for the files that are wanted, and remembers each that is asked for."""

    def __init__(self, wanted: set[str]) -> None:
        super().__init__(wanted)
        self.asked: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def _read(wanted: Home, archive: Path) -> tuple[str, Mapping[str, bytes], set[str]]:
    names = _Names({top + name for top in TOPS for name in (GENESIS, KEY, NODE_KEY, SIGNED)})
    files = look_through(archive, most_bytes=wanted.most_bytes, wanted=names, limit=_LARGEST)
    tops = [top for top in TOPS if top + KEY in files]
    if len(tops) != 1:
        what = "no home of a node" if not tops else "several homes"
        raise RecoveryRefused(
            f"{wanted.path} holds {what}: {KEY} has to be there once, at its top or in .cometbft",
            hint="pack the home itself: tar -C HOME -czf FILE .",
        )
    return tops[0], files, names.asked


def _has(names: set[str], path: str) -> bool:
    return any(name == path or name.startswith(f"{path}/") for name in names)


def _require_layout(wanted: Home, top: str, files: Mapping[str, bytes], names: set[str]) -> None:
    missing = [name for name in (GENESIS, NODE_KEY) if top + name not in files]
    blocks, state = _has(names, top + BLOCKS), _has(names, top + STATE)
    if blocks != state:
        missing.append(STATE if blocks else BLOCKS)
    if missing:
        raise RecoveryRefused(
            f"{wanted.path} lacks {', '.join(missing)}: it is no whole home",
            hint="pack all of the home, of a node that is stopped",
        )
    genesis = files[top + GENESIS]
    chain_id = _object(wanted, GENESIS, genesis).get("chain_id")
    if chain_id != wanted.chain_id:
        raise RecoveryRefused(
            f"{wanted.path} is a home of chain {chain_id!r}, not of {wanted.chain_id!r}",
            hint="give one of this network",
        )
    found = hashlib.sha256(genesis).hexdigest()
    if found != wanted.genesis_sha256:
        raise RecoveryRefused(
            f"{wanted.path} has another genesis of {chain_id} ({found}) than this network's",
            hint="give one of this network",
        )
    key = _public_key(wanted, _object(wanted, KEY, files[top + KEY]))
    if key != wanted.public_key:
        raise RecoveryRefused(
            f"{wanted.path} holds the validator's key {key}, the network gives {wanted.host} "
            f"{wanted.public_key}: it is another host's home",
            hint="give the home of this host",
        )


def _public_key(wanted: Home, key: Mapping[str, Any]) -> str:
    try:
        return b64decode(key["pub_key"]["value"], validate=True).hex()
    except LookupError, TypeError, ValueError:
        raise RecoveryRefused(f"{KEY} in {wanted.path} holds no key") from None


def _signed(wanted: Home, text: bytes | None) -> Object | None:
    if text is None:
        return None
    state = _object(wanted, SIGNED, text)
    try:
        return {"height": int(state["height"]), "round": int(state.get("round", 0))}
    except LookupError, TypeError, ValueError:
        raise RecoveryRefused(f"{SIGNED} in {wanted.path} tells no height") from None


def _object(wanted: Home, name: str, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError, RecursionError:
        found = None
    if not isinstance(found, dict):
        raise RecoveryRefused(
            f"{name} in {wanted.path} is no JSON object",
            hint="where it is encrypted, decrypt it with ansible-vault",
        )
    return found
