"""Wallets: one for each process that writes, and the operator's for none of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from xian_py import Wallet

from .findings import Finding
from .inventory import Host, Inventory, Network

CHECK = "wallets"

WRITERS = ("processor", "api")
OPERATOR = "workflow_contract_operator_key"
_KEYS = "workflow_services_keys"
_KEY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Writer:
    """A service that writes, its private key, and where that stands."""

    host: Host
    service: str
    key: str
    where: str


def check(inventory: Inventory) -> Iterator[Finding]:
    """Find writers without a wallet, and wallets with two writers.

    Keys are compared, not the names of their files: a copy under another name is the same wallet.
    """
    users: dict[str, list[Writer]] = {}
    for writer in _writers(inventory):
        if _KEY.fullmatch(writer.key):
            users.setdefault(writer.key, []).append(writer)
        else:
            yield _no_wallet(writer)
    operators = {operator for host in inventory.hosts.values() if (operator := _operator(host))}
    for key, writers in users.items():
        hosts = tuple(writer.host.name for writer in writers)
        listed = " and ".join(f"{writer.service} on {writer.host.name}" for writer in writers)
        if len(writers) > 1:
            yield Finding(
                CHECK,
                hosts,
                f"{listed} have the same wallet",
                "a wallet has one writer, two spoil each other's nonces: give each its own key",
            )
        if key in operators or _public(key) in _founders(inventory, writers):
            yield Finding(
                CHECK,
                hosts,
                f"{listed}: this is the operator's wallet",
                "give the service its own key: the operator's is on no host",
            )
    for host in inventory.hosts.values():
        yield from _handed_over(host, operators)
        yield from _prepared(host, inventory)
    for network in inventory.networks.values():
        if network:
            yield from _distinct(network)


def _writers(inventory: Inventory) -> Iterator[Writer]:
    """Each service that writes, with its key as the inventory or the network folder has it."""
    for host in inventory.hosts.values():
        services = [service for service in host.services if service in WRITERS]
        keys = host.get(_KEYS)
        if isinstance(keys, dict):  # else it is a finding already, or there is none
            for service in services:
                key = str(keys.get(service, "")).strip().lower()
                yield Writer(host, service, key, f"in {_KEYS}")
        elif _KEYS not in host.names:
            for service in services:
                if key := host.wallets.get(service, "").strip().lower():
                    yield Writer(host, service, key, f"in {host.folder}/wallets")


def _public(key: str) -> str:
    return str(Wallet(private_key=key).public_key)


def _founders(inventory: Inventory, writers: list[Writer]) -> set[str]:
    """The public keys of the operators of these writers' networks."""
    networks = [inventory.network(writer.host) for writer in writers]
    return {network.operator.lower() for network in networks if network and network.operator}


def _operator(host: Host) -> str:
    """The operator's key; empty where a host has none that is one."""
    key = host.text(OPERATOR).strip().lower()
    return key if _KEY.fullmatch(key) else ""


def _handed_over(host: Host, operators: set[str]) -> Iterator[Finding]:
    """The contract's operator acts from the control machine; no other variable holds its key."""
    for name, value in host.values.items():
        if host.local or name in {OPERATOR, _KEYS}:
            continue
        if any(key in str(value).lower() for key in operators):
            yield Finding(
                CHECK,
                (host.name,),
                f"{name} holds the operator's key",
                f"it never reaches a host: only {OPERATOR} may hold it",
            )


def _prepared(host: Host, inventory: Inventory) -> Iterator[Finding]:
    """Where a host names no keys, they are those of the network folder."""
    network = inventory.network(host)
    if network is None or _KEYS in host.names:
        return
    for service in host.services:
        if service in WRITERS and f"{service}-{host.name}" not in network.wallets:
            yield Finding(
                CHECK,
                (host.name,),
                f"there is no wallet for {service} in {host.folder}/wallets",
                "playbooks/prepare-network.yml makes those that are missing",
            )


def _distinct(network: Network) -> Iterator[Finding]:
    """No two wallets of a network's folder are one, and none is the operator's."""
    owners: dict[str, list[str]] = {}
    for name, key in sorted(network.wallets.items()):
        owners.setdefault(str(key).lower(), []).append(name)
    for key, names in owners.items():
        if len(names) > 1 or key == network.operator.lower():
            whose = [*names, "the operator's"] if key == network.operator.lower() else names
            yield Finding(
                CHECK,
                (),
                f"the wallets {' and '.join(whose)} of {network.chain_id} are one",
                "remove one of the key files, and let playbooks/prepare-network.yml make another",
            )


def _no_wallet(writer: Writer) -> Finding:
    what = f"{writer.service} runs here and has no key {writer.where}"
    if writer.key:
        what = f"the key of {writer.service} {writer.where} is not 64 hexadecimal digits"
    hint = "playbooks/prepare-network.yml makes wallets for the services of an inventory"
    return Finding(CHECK, (writer.host.name,), what, hint)
