"""Makes a network's folder: its genesis and the keys of every host, for one founded or joined.

    genesis.json                            the first state and the validators
    network.json                            what everybody may know: chain id, node ids, public keys
    operator.json                           the founder's key, where we founded it: genesis supply,
                                            foundation, operator
    hosts/NAME/{genesis,node_key,priv_validator_key}.json    what one host is given

The folder is for its owner alone (0700, files 0600); only hosts/ and operator.json hold secrets. It
is made beside its place and renamed, so it is there whole or not at all. Of one that is there no
key is ever changed, and no genesis; hosts are added to it, which follow the chain until its
validators give them a vote.
"""

import hashlib
import json
import re
import shutil
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey
from xian.genesis_builder import build_local_network_genesis
from xian_runtime_types.encoding import encode

from workflow_backend_node.asking import Object, Refused, as_json, parse, run, write_private
from workflow_backend_node.identity import GENESIS, Identity, generate, read

NETWORK = "network.json"

_PEER = re.compile(r"[0-9a-f]{40}@[^@\s,]+:[0-9]{1,5}", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """A network: `hosts` gives each host's voting power by name; power 0 follows without a vote.

    `genesis` is the file of a network that is there already, empty where one is founded from the
    contracts. `homes` gives for some hosts a home, or a validator's key, that was made elsewhere.
    `peers` are nodes of the network beside the hosts, NODE_ID@HOST:PORT.
    """

    directory: str
    chain_id: str
    hosts: dict[str, int]
    contracts: str
    genesis: str = ""
    homes: dict[str, str] = field(default_factory=dict)
    peers: list[str] = field(default_factory=list)


def make(request: Object, check: bool) -> Object:
    """Make the network unless it is there, add hosts; answer with `network.json` and what changed.

    Raises `Refused` when the folder holds another network or is none, when a home can't be used,
    and when a host shall vote that the genesis gives no vote.
    """
    wanted = parse(Wanted, request, "network")
    directory = Path(wanted.directory)
    if strangers := set(wanted.homes) - set(wanted.hosts):
        raise Refused(f"there are homes for {', '.join(sorted(strangers))}, which are no hosts")
    for peer in wanted.peers:
        if not _PEER.fullmatch(peer):
            raise Refused(
                f"peer {peer} must be NODE_ID@HOST:PORT, the id with 40 hexadecimal digits"
            )
    return (_extend if directory.exists() else _make)(directory, wanted, check)


def _make(directory: Path, wanted: Wanted, check: bool) -> Object:
    operator: dict[str, str] | None = None
    if wanted.genesis:
        genesis = _given_genesis(wanted)
        hosts = {name: _identity(wanted, name, genesis) for name in wanted.hosts}
    else:
        _verify_founding(wanted)
        hosts = {name: _identity(wanted, name, None) for name in wanted.hosts}
        operator = _operator()
        genesis = _found(wanted, hosts, operator["private_key"])
    network: Object = {
        "chain_id": wanted.chain_id,
        "genesis_sha256": _digest(genesis),
        "operator": operator and operator["public_key"],
        "peers": wanted.peers,
        "hosts": _entries(wanted, hosts, genesis),
    }
    _verify_distinct(network)
    if check:
        return {"changed": [str(directory)], "network": None}
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _whole(directory) as folder:
        write_private(folder / GENESIS, genesis.decode())
        write_private(folder / NETWORK, as_json(network))
        if operator:
            write_private(folder / "operator.json", as_json(operator))
        (folder / "hosts").mkdir(mode=0o700)
        for name, identity in hosts.items():
            (folder / "hosts" / name).mkdir(mode=0o700)
            identity.write(folder / "hosts" / name, genesis)
    return {"changed": [str(directory)], "network": network}


def _extend(directory: Path, wanted: Wanted, check: bool) -> Object:
    """Give keys to the hosts that have none in the network that is there, and keep the peers."""
    network, genesis = _existing(directory, wanted)
    known: Object = network["hosts"]
    new = {
        name: _identity(wanted, name, genesis, left=directory / "hosts" / name)
        for name in wanted.hosts
        if name not in known
    }
    network["hosts"] = known | _entries(wanted, new, genesis)
    for name, home in wanted.homes.items():
        _verify_same(directory, name, Path(home), network["hosts"][name])
    _verify_distinct(network)
    changed = [str(directory / "hosts" / name) for name in new]
    if network.get("peers", []) != wanted.peers:
        network["peers"] = wanted.peers
        changed.append(str(directory / NETWORK))
    if changed and not check:
        for name, identity in new.items():
            if not (directory / "hosts" / name).exists():
                with _whole(directory / "hosts" / name) as folder:
                    identity.write(folder, genesis)
        write_private(directory / NETWORK, as_json(network))
    return {"changed": changed, "network": network}


def _existing(directory: Path, wanted: Wanted) -> tuple[Object, bytes]:
    try:
        network: Object = json.loads((directory / NETWORK).read_text(encoding="utf-8"))
        genesis = (directory / GENESIS).read_bytes()
    except (OSError, ValueError) as error:
        raise Refused(f"{directory} is there but is no network ({error}): move it away") from error
    if network["chain_id"] != wanted.chain_id:
        raise Refused(
            f"{directory} holds network {network['chain_id']}, asked for {wanted.chain_id}: "
            "set the chain id back, or move the folder away to make another network"
        )
    if _digest(genesis) != network["genesis_sha256"]:
        raise Refused(f"{directory / GENESIS} is not the one that the network was made with")
    # The folder has a copy of a genesis that was given: the file may be gone.
    if Path(wanted.genesis).is_file() and not _same(_given_genesis(wanted), genesis):
        raise Refused(
            f"{wanted.genesis} is another genesis of {wanted.chain_id} than {directory / GENESIS}: "
            "give that one, or move the folder away"
        )
    return network, genesis


def _given_genesis(wanted: Wanted) -> bytes:
    try:
        text = Path(wanted.genesis).read_bytes()
        chain_id = json.loads(text)["chain_id"]
        validators = _votes(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{wanted.genesis} is no genesis: {error}") from error
    if chain_id != wanted.chain_id:
        raise Refused(
            f"{wanted.genesis} is the genesis of {chain_id}, asked for {wanted.chain_id}: "
            "give the right file, or set the chain id"
        )
    if not validators:
        raise Refused(f"{wanted.genesis} names no validators")
    return text


def _verify_founding(wanted: Wanted) -> None:
    if not any(power > 0 for power in wanted.hosts.values()):
        raise Refused(f"network {wanted.chain_id}: no host has a voting power above 0")
    if not (Path(wanted.contracts) / "contracts_local.json").is_file():
        raise Refused(
            f"no genesis contracts in {wanted.contracts}: contracts_local.json is missing"
        )


def _identity(
    wanted: Wanted, name: str, genesis: bytes | None, left: Path | None = None
) -> Identity:
    """Take a host's keys from what a run that was ended left, or its home, or make new ones."""
    if left and left.exists():
        return read(left)
    home = wanted.homes.get(name)
    if home is None:
        return generate()
    identity = read(Path(home))
    if identity.genesis and not (genesis and _same(identity.genesis, genesis)):
        chain_id = json.loads(identity.genesis).get("chain_id")
        raise Refused(
            f"{home} belongs to network {chain_id} with another genesis than this one's: "
            "give the network's genesis file, or the validator's key alone"
        )
    return identity


def _found(wanted: Wanted, hosts: dict[str, Identity], founder: str) -> bytes:
    try:
        genesis = build_local_network_genesis(
            chain_id=wanted.chain_id,
            founder_private_key=founder,
            contracts_dir=Path(wanted.contracts),
            validators=[
                {
                    "account_public_key": hosts[name].public_key,
                    "priv_validator_key": hosts[name].validator_key,
                    "name": name,
                    "power": power,
                }
                for name, power in wanted.hosts.items()
                if power > 0
            ],
        )
    except ValueError as error:
        raise Refused(f"no genesis from the contracts in {wanted.contracts}: {error}") from error
    return as_json(json.loads(encode(genesis))).encode()


def _operator() -> dict[str, str]:
    founder = SigningKey.generate()
    return {
        "private_key": founder.encode().hex(),
        "public_key": founder.verify_key.encode().hex(),
    }


def _entries(wanted: Wanted, hosts: dict[str, Identity], genesis: bytes) -> Object:
    """Give what everybody may know of the hosts. Only a genesis gives votes."""
    votes = _votes(genesis)
    for name, identity in hosts.items():
        if wanted.hosts[name] > 0 and identity.public_key not in votes:
            raise Refused(
                f"{name} is no validator of the genesis of {wanted.chain_id}: give it power 0; it "
                "follows the chain until the contract `validators` gives it a vote"
            )
    return {
        name: {
            "node_id": identity.node_id,
            "public_key": identity.public_key,
            "power": votes.get(identity.public_key, 0),
        }
        for name, identity in hosts.items()
    }


def _votes(genesis: bytes) -> dict[str, int]:
    validators: list[Any] = json.loads(genesis).get("validators") or []
    return {
        b64decode(validator["pub_key"]["value"]).hex(): int(validator["power"])
        for validator in validators
    }


def _verify_same(directory: Path, name: str, home: Path, entry: Object) -> None:
    """Refuse a home that came too late; one that was taken away after it was read is no trouble."""
    if home.exists() and read(home).public_key != entry["public_key"]:
        raise Refused(
            f"{name} has another key in {directory} than in {home}: take the home out of the "
            f"inventory, or move {directory / 'hosts' / name} away and take it out of {NETWORK}"
        )


def _verify_distinct(network: Object) -> None:
    """Two nodes with one validator's key sign twice."""
    for kind in ("public_key", "node_id"):
        owners: dict[str, str] = {}
        for name, entry in network["hosts"].items():
            other = owners.setdefault(entry[kind], name)
            if other != name:
                raise Refused(
                    f"{other} and {name} have one {kind}, {entry[kind]}: each needs its own"
                )


def _same(one: bytes, other: bytes) -> bool:
    """Tell whether two files are one genesis; programs lay them out in their own ways."""
    return one == other or bool(json.loads(one) == json.loads(other))


def _digest(genesis: bytes) -> str:
    return hashlib.sha256(genesis).hexdigest()


@contextmanager
def _whole(directory: Path) -> Iterator[Path]:
    """Give a new folder that takes its place once it is filled."""
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))  # 0700
    try:
        yield beside
        beside.rename(directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well


if __name__ == "__main__":
    sys.exit(run(make))
