"""Brings a node's home (`.cometbft`) to the requested configuration.

A new home is made completely: identity (genesis and keys), configuration, an empty store. Of an
existing home, whoever made it, only `config/config.toml` and `config/xian.toml` are ever written,
and its keys are made private. It is refused when it belongs to another network or holds another
key, and when a part of its identity or signing state is lost: a guess there could sign twice.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workflow_backend_node import identity as identities
from workflow_backend_node import integrity, signing_state
from workflow_backend_node.configuration import Settings, render
from workflow_backend_node.homes import refuse_half_pushed
from workflow_backend_node.identity import IDENTITY, NODE_KEY, VALIDATOR_KEY
from workflow_backend_node.locks import folder_lock
from workflow_backend_node.ports import refuse_ports_in_use
from workflow_backend_node.requests import (
    Object,
    Refused,
    as_json,
    difference,
    parse,
    run,
    write_private,
)
from workflow_backend_node.unfinished_restore import require_no_restore


@dataclass(frozen=True)
class HomeRequest:
    """A home to make or update.

    A new home is made from the folder `identity`, which is removed afterwards. It holds genesis and
    keys, and the signing state of a validator that has signed before. `handed_over` says that the
    caller has just put all of it there: what an earlier run left may be incomplete, and a validator
    without its signing state may sign twice. Until it is handed over, the answer says what would
    change, as in check mode, and the home is not made.

    `seen` is a signing state beyond all that the validator's peers have seen, if there are any.
    """

    home: str
    identity: str
    handed_over: bool
    chain_id: str
    genesis_sha256: str
    public_key: str
    settings: Object
    seen: Object = field(default_factory=dict)


def bring(given: Object, check: bool) -> Object:
    """Make or update the home; answer with what changed and the difference, which holds no secret.

    `configuration` is a digest of all that a running node has to be restarted for, but for its
    peers: many of those connect to it by themselves, and the role knows which.

    Raises `Refused` when the home or the identity is not the expected one, or another program has a
    port.
    """
    request = parse(HomeRequest, given, "home")
    settings = parse(Settings, request.settings, "home settings")
    with folder_lock(Path(request.home).parent, check):
        return _bring(request, settings, check)


def _bring(request: HomeRequest, settings: Settings, check: bool) -> Object:
    home = Path(request.home)
    refuse_ports_in_use(settings.addresses(), str(home))
    refuse_half_pushed(home)
    require_no_restore(home)
    new = not home.exists()
    identity = Path(request.identity)
    source = identity if new else home / "config"
    if new and not (request.handed_over and source.exists()):
        return {"made": False, "changed": [str(home)], "configuration": ""}
    validators = _verify(request, source)
    if not new:
        integrity.require_kept(home)
    files = render(settings, validators)
    without_peers = render(replace(settings, peers=[]), validators)
    changes = list(_changes(home / "config", files))
    open_to_others = [] if new else list(_open_to_others(home))
    left = [] if new or not identity.exists() else [identity]
    if new and not check:
        _make(home, source, files, request.seen)
    elif not check:
        for path in open_to_others:
            path.chmod(0o600)
        for path, _, text in changes:
            write_private(path, text)
    if not check:  # a validator's key has one place on its host
        shutil.rmtree(identity, ignore_errors=True)
    changed = [str(home)] if new else [str(path) for path in (*open_to_others, *left)]
    changed += [str(path) for path, _, _ in changes]
    return {
        "made": not check or not new,
        "changed": changed,
        "diff": "".join(difference(path, before, text) for path, before, text in changes),
        "configuration": hashlib.sha256("".join(without_peers.values()).encode()).hexdigest(),
    }


def _verify(request: HomeRequest, config: Path) -> int:
    """Refuse any other identity; return the number of validators in the genesis."""
    identities.require(config)
    text = (config / "genesis.json").read_bytes()
    genesis: dict[str, Any] = json.loads(text)
    if genesis["chain_id"] != request.chain_id:
        raise Refused(
            f"{config} belongs to network {genesis['chain_id']}, not to {request.chain_id}: "
            "move this home away, or set xian_network_chain_id back"
        )
    if hashlib.sha256(text).hexdigest() != request.genesis_sha256:
        raise Refused(
            f"{config}/genesis.json is another genesis of {request.chain_id} than the "
            "network folder's: move this home away, or restore the folder it was made from"
        )
    key = json.loads((config / "priv_validator_key.json").read_text())
    public_key = b64decode(key["pub_key"]["value"]).hex()
    if public_key != request.public_key:
        raise Refused(
            f"{config}/priv_validator_key.json holds the key {public_key}, "
            f"the network folder has {request.public_key} for this host: "
            "one of them is another host's"
        )
    return len(genesis["validators"])


def _open_to_others(home: Path) -> Iterator[Path]:
    for path in (home / "config" / NODE_KEY, home / "config" / VALIDATOR_KEY):
        if path.stat().st_mode & 0o077:
            yield path


def _changes(config: Path, files: dict[str, str]) -> Iterator[tuple[Path, str, str]]:
    for name, text in files.items():
        path = config / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before != text:
            yield path, before, text


def _make(home: Path, identity: Path, files: dict[str, str], seen: Object) -> None:
    beside = Path(tempfile.mkdtemp(prefix=".home.", dir=home.parent))  # 0700
    try:
        for name in ("config", "data", "xian"):
            (beside / name).mkdir(mode=0o700)
        for name in IDENTITY:
            write_private(beside / "config" / name, (identity / name).read_text(encoding="utf-8"))
        for name, text in files.items():
            write_private(beside / "config" / name, text)
        # There for a validator that has signed elsewhere.
        signed = signing_state.read(identity / signing_state.STATE)
        state = signing_state.highest(one for one in (signed, seen) if one)
        write_private(signing_state.place(beside), as_json(state))
        beside.rename(home)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well


if __name__ == "__main__":
    sys.exit(run(bring))
