"""Wallets: one for each process that writes, and the operator's for none of them."""

import re
from collections.abc import Iterator

from .findings import Finding
from .inventory import Host, Inventory, Network

CHECK = "wallets"

WRITERS = ("processor", "api")
OPERATOR = "workflow_contract_operator_key"
_KEY = re.compile(r"[0-9a-fA-F]{64}")


def judge(inventory: Inventory) -> Iterator[Finding]:
    """Find writers without a wallet, and wallets with two writers."""
    users: dict[str, list[tuple[str, str]]] = {}
    for name, service, key in _writers(inventory):
        if _KEY.fullmatch(key):
            users.setdefault(key, []).append((name, service))
        else:
            yield _no_wallet(name, service, key)
    operators = {operator for host in inventory.hosts.values() if (operator := _operator(host))}
    for key, writers in users.items():
        hosts = tuple(name for name, _ in writers)
        listed = " and ".join(f"{service} on {name}" for name, service in writers)
        if len(writers) > 1:
            yield Finding(
                CHECK,
                hosts,
                f"{listed} have one wallet",
                "one wallet has one writer, two spoil each other's nonces: give each its own key",
            )
        if key in operators:
            yield Finding(
                CHECK,
                hosts,
                f"{listed}: the wallet is the operator's own",
                "give the service a key of its own: it is on its host, the operator's is not",
            )
    for host in inventory.hosts.values():
        yield from _handed_over(host, operators)
        yield from _prepared(host, inventory)
    for network in inventory.networks.values():
        if network:
            yield from _distinct(network)


def _writers(inventory: Inventory) -> Iterator[tuple[str, str, str]]:
    """Each service that writes: its host, its name, and its key as the inventory has it."""
    for host in inventory.hosts.values():
        keys = host.get("workflow_services_keys")
        if isinstance(keys, dict):  # else it is a finding already
            for service in host.services:
                if service in WRITERS:
                    yield host.name, service, str(keys.get(service, "")).strip().lower()


def _operator(host: Host) -> str:
    """The operator's key; empty where a host has none that is one."""
    key = host.text(OPERATOR).strip().lower()
    return key if _KEY.fullmatch(key) else ""


def _handed_over(host: Host, operators: set[str]) -> Iterator[Finding]:
    """The contract's operator acts from the control machine; no other variable holds its key."""
    for name, value in host.values.items():
        if host.local or name in {OPERATOR, "workflow_services_keys"}:
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
    if network is None or "workflow_services_keys" in host.names:
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


def _no_wallet(host: str, service: str, key: str) -> Finding:
    what = f"{service} runs here and has no key in workflow_services_keys"
    if key:
        what = f"the key of {service} in workflow_services_keys is not 64 hexadecimal digits"
    hint = "playbooks/prepare-network.yml makes wallets for the services of an inventory"
    return Finding(CHECK, (host,), what, hint)
