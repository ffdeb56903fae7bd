"""The genesis of a network: read from a file, or made from the genesis contracts."""

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xian.genesis_builder import build_local_network_genesis
from xian_runtime_types.encoding import encode

from workflow_backend_node.identity import Identity
from workflow_backend_node.requests import Refused, as_json


def read(file: Path, chain_id: str) -> bytes:
    """Return the genesis in a file; raises `Refused` when it is none, or of another chain."""
    try:
        text = file.read_bytes()
        named = json.loads(text)["chain_id"]
        validators = votes(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{file} is not a genesis: {error}") from error
    if named != chain_id:
        raise Refused(
            f"{file} is the genesis of {named}, not of {chain_id}: "
            "set xian_network_genesis to another file, or xian_network_chain_id to this chain"
        )
    if not validators:
        raise Refused(f"{file} names no validators")
    return text


def require_founding(chain_id: str, powers: Mapping[str, int], contracts: Path) -> None:
    """Raise `Refused` when a network can't be founded from this."""
    if not any(power > 0 for power in powers.values()):
        raise Refused(f"network {chain_id}: no host has an xian_network_power above 0")
    if not (contracts / "contracts_local.json").is_file():
        raise Refused(f"no genesis contracts in {contracts}: contracts_local.json is missing")


def create(
    chain_id: str,
    contracts: Path,
    validators: Mapping[str, tuple[Identity, int]],
    founder_key: str,
) -> bytes:
    """Make the genesis of a new network; `validators` are keys and voting power by host name."""
    try:
        genesis = build_local_network_genesis(
            chain_id=chain_id,
            founder_private_key=founder_key,
            contracts_dir=contracts,
            validators=[
                {
                    "account_public_key": identity.public_key,
                    "priv_validator_key": identity.validator_key,
                    "name": name,
                    "power": power,
                }
                for name, (identity, power) in validators.items()
            ],
        )
    except ValueError as error:
        raise Refused(f"no genesis from the contracts in {contracts}: {error}") from error
    return as_json(json.loads(encode(genesis))).encode()


def votes(genesis: bytes) -> dict[str, int]:
    """Return the voting power of each validator by its public key."""
    validators: list[Any] = json.loads(genesis).get("validators") or []
    return {
        b64decode(validator["pub_key"]["value"]).hex(): int(validator["power"])
        for validator in validators
    }


def same(one: bytes, other: bytes) -> bool:
    """Tell whether two files are one genesis; programs lay them out in their own ways."""
    return one == other or bool(json.loads(one) == json.loads(other))


def digest(genesis: bytes) -> str:
    """Return the SHA-256 by which a genesis is known."""
    return hashlib.sha256(genesis).hexdigest()
