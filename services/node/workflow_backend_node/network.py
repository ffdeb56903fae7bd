"""Makes a network: its genesis, the founder's key, and the keys of every host, in one folder.

    genesis.json                            the first state and the validators
    network.json                            what everybody may know: chain id, node ids, public keys
    operator.json                           the founder's key: genesis supply, foundation, operator
    hosts/NAME/{genesis,node_key,priv_validator_key}.json    what one host is given

The folder is for its owner alone (0700, files 0600). It is made beside its place and renamed, so it
is there whole or not at all; one that is there is never changed.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey
from xian.genesis_builder import build_local_network_genesis
from xian.node_setup import build_node_key, generate_validator_material
from xian_runtime_types.encoding import encode

from workflow_backend_node.asking import Object, Refused, as_json, parse, run, write_private


@dataclass(frozen=True)
class Wanted:
    """A network: `hosts` gives each host's voting power by name; power 0 follows without a vote."""

    directory: str
    chain_id: str
    hosts: dict[str, int]
    contracts: str


def make(request: Object, check: bool) -> Object:
    """Make the network unless it is there; answer with `network.json` and what changed.

    Raises `Refused` when the folder holds another network, lacks a host, or is no network.
    """
    wanted = parse(Wanted, request, "network")
    directory = Path(wanted.directory)
    if directory.exists():
        return {"changed": [], "network": _existing(directory, wanted)}
    if not any(power > 0 for power in wanted.hosts.values()):
        raise Refused(f"network {wanted.chain_id}: no host has a voting power above 0")
    if not (Path(wanted.contracts) / "contracts_local.json").is_file():
        raise Refused(
            f"no genesis contracts in {wanted.contracts}: contracts_local.json is missing"
        )
    if check:
        return {"changed": [str(directory)], "network": None}
    directory.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))  # 0700
    try:
        network = _write(beside, wanted)
        beside.rename(directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well
    return {"changed": [str(directory)], "network": network}


def _existing(directory: Path, wanted: Wanted) -> Object:
    try:
        network: Object = json.loads((directory / "network.json").read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{directory} is there but is no network ({error}): move it away") from error
    if network["chain_id"] != wanted.chain_id:
        raise Refused(
            f"{directory} holds network {network['chain_id']}, asked for {wanted.chain_id}: "
            "set the chain id back, or move the folder away to found another network"
        )
    missing = sorted(set(wanted.hosts) - set(network["hosts"]))
    if missing:
        raise Refused(
            f"network {wanted.chain_id} in {directory} was founded without {', '.join(missing)}: "
            "take these hosts out of the inventory, or found another network"
        )
    return network


def _write(directory: Path, wanted: Wanted) -> Object:
    founder = SigningKey.generate()
    operator = founder.verify_key.encode().hex()
    validators = {name: generate_validator_material() for name in wanted.hosts}
    node_keys = {name: build_node_key() for name in wanted.hosts}
    try:
        genesis = build_local_network_genesis(
            chain_id=wanted.chain_id,
            founder_private_key=founder.encode().hex(),
            contracts_dir=Path(wanted.contracts),
            validators=[
                {
                    "account_public_key": validators[name]["validator_public_key_hex"],
                    "priv_validator_key": validators[name]["priv_validator_key"],
                    "name": name,
                    "power": power,
                }
                for name, power in wanted.hosts.items()
                if power > 0
            ],
        )
    except ValueError as error:
        raise Refused(f"no genesis from the contracts in {wanted.contracts}: {error}") from error
    text = as_json(json.loads(encode(genesis)))
    network: Object = {
        "chain_id": wanted.chain_id,
        "genesis_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "operator": operator,
        "hosts": {
            name: _public(validators[name], node_keys[name], power)
            for name, power in wanted.hosts.items()
        },
    }
    write_private(directory / "genesis.json", text)
    write_private(directory / "network.json", as_json(network))
    write_private(
        directory / "operator.json",
        as_json({"private_key": founder.encode().hex(), "public_key": operator}),
    )
    (directory / "hosts").mkdir(mode=0o700)
    for name in wanted.hosts:
        host = directory / "hosts" / name
        host.mkdir(mode=0o700)
        write_private(host / "genesis.json", text)
        write_private(host / "node_key.json", as_json({"priv_key": node_keys[name]["priv_key"]}))
        write_private(
            host / "priv_validator_key.json", as_json(validators[name]["priv_validator_key"])
        )
    return network


def _public(validator: dict[str, Any], node_key: dict[str, Any], power: int) -> Object:
    return {
        "node_id": node_key["node_id"].lower(),
        "public_key": validator["validator_public_key_hex"],
        "power": power,
    }


if __name__ == "__main__":
    sys.exit(run(make))
