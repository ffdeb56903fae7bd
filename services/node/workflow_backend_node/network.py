"""Makes a network's folder: its genesis and every host's keys, whether it is founded or joined.

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

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nacl.signing import SigningKey

from workflow_backend_node import genesis_files
from workflow_backend_node.identity import GENESIS, Identity, generate, read
from workflow_backend_node.requests import Object, Refused, as_json, parse, run, write_private

NETWORK = "network.json"

_PEER = re.compile(r"[0-9a-f]{40}@[^@\s,]+:[0-9]{1,5}", re.IGNORECASE)


@dataclass(frozen=True)
class NetworkRequest:
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


def make(given: Object, check: bool) -> Object:
    """Make the network unless it is there, add hosts; answer with `network.json` and what changed.

    Raises `Refused` when the folder holds another network or is none, when a home can't be used,
    and when a host has a voting power that the genesis does not give it.
    """
    request = parse(NetworkRequest, given, "network")
    directory = Path(request.directory)
    if unknown := set(request.homes) - set(request.hosts):
        raise Refused(f"xian_network_home of {', '.join(sorted(unknown))}: no such host")
    for peer in request.peers:
        if not _PEER.fullmatch(peer):
            raise Refused(
                f"xian_network_peers: {peer} must be NODE_ID@HOST:PORT, with 40 hexadecimal digits"
            )
    return (_extend if directory.exists() else _make)(directory, request, check)


def _make(directory: Path, request: NetworkRequest, check: bool) -> Object:
    operator: dict[str, str] | None = None
    if request.genesis:
        genesis = genesis_files.read(Path(request.genesis), request.chain_id)
        hosts = {name: _identity(request, name, genesis) for name in request.hosts}
    else:
        genesis_files.require_founding(request.chain_id, request.hosts, Path(request.contracts))
        hosts = {name: _identity(request, name, None) for name in request.hosts}
        operator = _operator()
        genesis = genesis_files.create(
            request.chain_id,
            Path(request.contracts),
            {name: (hosts[name], power) for name, power in request.hosts.items() if power > 0},
            operator["private_key"],
        )
    network: Object = {
        "chain_id": request.chain_id,
        "genesis_sha256": genesis_files.digest(genesis),
        "operator": operator and operator["public_key"],
        "peers": request.peers,
        "hosts": _entries(request, hosts, genesis),
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


def _extend(directory: Path, request: NetworkRequest, check: bool) -> Object:
    """Give keys to the hosts that have none in the network that is there, and keep the peers."""
    network, genesis = _existing(directory, request)
    known: Object = network["hosts"]
    new = {
        name: _identity(request, name, genesis, left=directory / "hosts" / name)
        for name in request.hosts
        if name not in known
    }
    network["hosts"] = known | _entries(request, new, genesis)
    for name, home in request.homes.items():
        _verify_same(directory, name, Path(home), network["hosts"][name])
    _verify_distinct(network)
    changed = [str(directory / "hosts" / name) for name in new]
    if network.get("peers", []) != request.peers:
        network["peers"] = request.peers
        changed.append(str(directory / NETWORK))
    if changed and not check:
        for name, identity in new.items():
            if not (directory / "hosts" / name).exists():
                with _whole(directory / "hosts" / name) as folder:
                    identity.write(folder, genesis)
        write_private(directory / NETWORK, as_json(network))
    return {"changed": changed, "network": network}


def _existing(directory: Path, request: NetworkRequest) -> tuple[Object, bytes]:
    try:
        network: Object = json.loads((directory / NETWORK).read_text(encoding="utf-8"))
        genesis = (directory / GENESIS).read_bytes()
    except (OSError, ValueError) as error:
        raise Refused(
            f"{directory} exists but is not a network folder ({error}): move it away"
        ) from error
    if network["chain_id"] != request.chain_id:
        raise Refused(
            f"{directory} holds network {network['chain_id']}, not {request.chain_id}: "
            "set xian_network_chain_id back, or move the folder away to make another network"
        )
    if genesis_files.digest(genesis) != network["genesis_sha256"]:
        raise Refused(f"{directory / GENESIS} is not the network's own: put that back")
    # The folder has a copy of a genesis that was given: the file may be gone.
    if Path(request.genesis).is_file() and not genesis_files.same(
        genesis_files.read(Path(request.genesis), request.chain_id), genesis
    ):
        raise Refused(
            f"{request.genesis} is another genesis of {request.chain_id} than "
            f"{directory / GENESIS}: "
            "set xian_network_genesis to that one, or move the folder away"
        )
    return network, genesis


def _identity(
    request: NetworkRequest, name: str, genesis: bytes | None, left: Path | None = None
) -> Identity:
    """Take a host's keys from what an interrupted run left, or its home, or make new ones."""
    if left and left.exists():
        return read(left)
    home = request.homes.get(name)
    if home is None:
        return generate()
    identity = read(Path(home))
    if identity.genesis and not (genesis and genesis_files.same(identity.genesis, genesis)):
        chain_id = json.loads(identity.genesis).get("chain_id")
        raise Refused(
            f"{home} belongs to network {chain_id} with another genesis than this one's: "
            "set xian_network_genesis to its genesis, or xian_network_home to the key alone"
        )
    return identity


def _operator() -> dict[str, str]:
    founder = SigningKey.generate()
    return {
        "private_key": founder.encode().hex(),
        "public_key": founder.verify_key.encode().hex(),
    }


def _entries(request: NetworkRequest, hosts: dict[str, Identity], genesis: bytes) -> Object:
    """Give what everybody may know of the hosts. Only a genesis gives votes."""
    votes = genesis_files.votes(genesis)
    for name, identity in hosts.items():
        if request.hosts[name] > 0 and identity.public_key not in votes:
            raise Refused(
                f"{name} is not a validator of the genesis of {request.chain_id}: set its "
                "xian_network_power to 0; it follows the chain until the contract `validators` "
                "gives it a vote"
            )
    return {
        name: {
            "node_id": identity.node_id,
            "public_key": identity.public_key,
            "power": votes.get(identity.public_key, 0),
        }
        for name, identity in hosts.items()
    }


def _verify_same(directory: Path, name: str, home: Path, entry: Object) -> None:
    """Refuse a home with other keys than the folder; one that is gone after it was read is fine."""
    if home.exists() and read(home).public_key != entry["public_key"]:
        raise Refused(
            f"{name} has another key in {directory} than in {home}: remove its "
            f"xian_network_home, or move {directory / 'hosts' / name} away and delete it from "
            f"{NETWORK}"
        )


def _verify_distinct(network: Object) -> None:
    """Two nodes with one validator's key sign twice."""
    for kind in ("public_key", "node_id"):
        owners: dict[str, str] = {}
        for name, entry in network["hosts"].items():
            other = owners.setdefault(entry[kind], name)
            if other != name:
                raise Refused(
                    f"{other} and {name} have the same {kind}, {entry[kind]}: each needs its own"
                )


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
