"""Who a node is: its node key and its validator key, made anew or taken from what others made.

Other programs prepare homes too, or a validator's key alone: a folder, or an archive of one. What
is taken from there is verified and written anew; nothing else of it is used.
"""

import hashlib
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

from nacl.signing import SigningKey
from xian.node_setup import build_node_key, generate_validator_material

from workflow_backend_node import archives, signing_state
from workflow_backend_node.files import json_object, read_regular_file
from workflow_backend_node.requests import Object, Refused, as_json, write_private
from workflow_backend_node.signing_state import STATE

GENESIS = "genesis.json"
NODE_KEY = "node_key.json"
VALIDATOR_KEY = "priv_validator_key.json"
IDENTITY = (GENESIS, NODE_KEY, VALIDATOR_KEY)

_BLOCKS = "blockstore.db"
_LARGEST = archives.SMALL
_VAULT = b"$ANSIBLE_VAULT;"

type Files = dict[str, Callable[[], bytes]]


@dataclass(frozen=True)
class Identity:
    """A node's keys; `state` is what its validator signed last, None where it never signed.

    `genesis` is the one that the keys were found with, None where there was none.
    """

    node_key: Object
    validator_key: Object
    state: Object | None = None
    genesis: bytes | None = None

    @property
    def node_id(self) -> str:
        """The name by which peers know the node."""
        public = _public(_seed(self.node_key, NODE_KEY))
        return hashlib.sha256(public).digest()[:20].hex()

    @property
    def public_key(self) -> str:
        """The validator's public key in hexadecimal digits, as the chain writes it."""
        return _public(_seed(self.validator_key, VALIDATOR_KEY)).hex()

    def write(self, folder: Path, genesis: bytes) -> None:
        """Write what one host is given into a folder of its own."""
        write_private(folder / GENESIS, genesis.decode())
        write_private(folder / NODE_KEY, as_json(self.node_key))
        write_private(folder / VALIDATOR_KEY, as_json(self.validator_key))
        if self.state is not None:
            write_private(folder / STATE, as_json(self.state))


def generate() -> Identity:
    """Make new keys."""
    return Identity(
        node_key={"priv_key": build_node_key()["priv_key"]},
        validator_key=generate_validator_material()["priv_validator_key"],
    )


def read(place: Path) -> Identity:
    """Read the identity in a home, in a host's folder of a network, or a validator's key alone.

    A node key that is missing is made: nothing is signed with it. Raises `Refused` naming the file
    that is missing, broken or encrypted, and for a home that has blocks and lost what it signed.
    """
    files = _opened(place)
    if VALIDATOR_KEY not in files:
        raise Refused(f"{place} is not a node's home: it has no {VALIDATOR_KEY}")
    contents = {
        name: _object(f"{name} in {place}", files[name]())
        for name in (NODE_KEY, VALIDATOR_KEY, STATE)
        if name in files
    }
    if STATE not in contents and _BLOCKS in files:
        raise Refused(
            f"{place} has blocks but no {STATE}: without it this validator may sign twice. "
            "Put it back, or restore the home from a backup"
        )
    genesis = files[GENESIS]() if GENESIS in files else None
    return Identity(
        node_key=_node_key(contents.get(NODE_KEY), place),
        validator_key=_validator_key(contents[VALIDATOR_KEY], place),
        state=_signed(contents.get(STATE), place),
        genesis=genesis,
    )


def _opened(place: Path) -> Files:
    """Give what reads each file of a home, by the file's name."""
    if place.is_dir():
        folders = (place, place / "config", place / "data")
        return {
            path.name: partial(read_regular_file, path, _LARGEST)
            for folder in folders
            for path in _listed(folder)
        }
    members = archives.read(place, (*IDENTITY, STATE))
    if members is None:
        raise Refused(f"there is no home in {place}: give a folder, or a tar, tar.gz or zip of one")
    return _of_one_home(place, members)


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _of_one_home(place: Path, members: archives.Members) -> Files:
    paths = {PurePosixPath(name): name for name in members}
    keys = [path for path in paths if path.name == VALIDATOR_KEY]
    if len(keys) > 1:
        raise Refused(f"{place} holds several homes: {', '.join(str(path) for path in keys)}")
    files: Files = {}
    for key in keys:
        home = key.parent.parent if key.parent.name == "config" else key.parent
        folders: tuple[PurePath, ...] = (home, home / "config", home / "data")
        for path, name in paths.items():
            # Some archives have no entry for a folder, only for what is in it.
            for part in (path, *path.parents):
                if part.parent in folders:
                    files.setdefault(part.name, partial(_content, members, name))
    return files


def _content(members: archives.Members, name: str) -> bytes:
    return members[name] or b""


def _object(what: str, text: bytes) -> Object:
    if text.startswith(_VAULT):
        raise Refused(f"{what} is encrypted: decrypt it with ansible-vault")
    return json_object(text, what)


def _node_key(key: Object | None, place: Path) -> Object:
    if key is None:
        return generate().node_key
    seed = _seed(key, f"{NODE_KEY} in {place}")
    return {"priv_key": build_node_key(seed.hex())["priv_key"]}


def _validator_key(content: Object, place: Path) -> Object:
    what = f"{VALIDATOR_KEY} in {place}"
    key: Object = generate_validator_material(_seed(content, what).hex())["priv_validator_key"]
    if content.get("pub_key") != key["pub_key"]:
        raise Refused(f"{what}: the public key is not the private key's")
    return key


def _signed(content: Object | None, place: Path) -> Object | None:
    """Give the state of a validator that has signed."""
    if content is None:
        return None
    state = signing_state.require(content, f"{STATE} in {place}")
    return state if int(state["height"]) > 0 else None


def require(config: Path) -> None:
    """Raise `Refused` where a home's genesis or one of its keys is not what its name says."""
    missing = [name for name in IDENTITY if not (config / name).exists()]
    if missing:
        raise Refused(f"{config} lacks {', '.join(missing)}: put back what belongs to this node")
    genesis, node_key, validator_key = (
        _object(str(config / name), read_regular_file(config / name, _LARGEST)) for name in IDENTITY
    )
    if not isinstance(genesis.get("chain_id"), str) or not genesis.get("validators"):
        raise Refused(f"{config / GENESIS} is not a genesis: put back this network's")
    _seed(node_key, str(config / NODE_KEY))
    _validator_key(validator_key, config)


def _seed(key: Object, what: str) -> bytes:
    """Give the private part of an Ed25519 key; its file holds the public one behind it."""
    try:
        secret = b64decode(key["priv_key"]["value"], validate=True)
    except KeyError, TypeError, ValueError:
        secret = b""
    if len(secret) != 64 or _public(secret[:32]) != secret[32:]:
        raise Refused(f"{what} holds no Ed25519 key")  # and none of what it holds is shown
    return secret[:32]


def _public(seed: bytes) -> bytes:
    return SigningKey(seed).verify_key.encode()
