"""The network: hosts and keys that its folder knows, and settings that its nodes must share."""

from base64 import b64encode
from collections.abc import Iterator

from .findings import Finding, Level
from .inventory import Host, Inventory, Network

CRITICAL = ("xian_node_fee_mode",)
"""Every node judges proposals and charges fees by it: nodes that differ fork at the next block."""

UNWISE = (
    "xian_node_block_policy",
    "xian_node_block_interval",
    "xian_node_timeout_propose",
    "xian_node_timeout_prevote",
    "xian_node_timeout_precommit",
    "xian_node_timeout_commit",
    "xian_node_max_pending_nonces",
)
"""The chain agrees whatever each node has here, but its rhythm then depends on the proposer."""

CHAIN_IDS = ("xian_network_chain_id", "workflow_contract_chain_id", "workflow_services_chain_id")


def check(inventory: Inventory, *, rehearsal: bool) -> Iterator[Finding]:
    """Look at network folders, identities and settings of consensus."""
    for host in inventory.hosts.values():
        if "xian_network" in host.roles:
            yield from _folder(host, inventory, rehearsal)
    yield from _one_genesis(inventory)
    for folder, network in inventory.networks.items():
        if network:
            yield from _identities(network)
            yield from _keys(folder, network, inventory)
            yield from _elsewhere(folder, network, inventory)
    yield from _same(inventory, CRITICAL, "consensus", Level.PROBLEM)
    yield from _same(inventory, UNWISE, "settings", Level.WARNING)
    for host in inventory.nodes:
        yield from _other_fees(host)


def _folder(host: Host, inventory: Inventory, rehearsal: bool) -> Iterator[Finding]:
    def found(what: str, hint: str, level: Level = Level.PROBLEM) -> Finding:
        return Finding("network", (host.name,), what, hint, level)

    if host.folder not in inventory.networks:
        return  # the variable is missing or its folder is broken, which is a finding already
    network = inventory.network(host)
    if network is None:
        level = Level.WARNING if rehearsal else Level.PROBLEM
        hint = "playbooks/prepare-network.yml makes one"
        yield found(f"there is no network in {host.folder}", hint, level)
        return
    if host.closed:
        yield Finding(
            "vault",
            (host.name,),
            f"this host's keys in {host.folder} can't be read",
            "give the vault password that they are encrypted with: --vault-password-file FILE or "
            "--ask-vault-password",
        )
    yield from _key_of_another(host, network)
    if host.node and host.name not in network.hosts:
        yield found(
            f"the network {network.chain_id} in {host.folder} does not know this host",
            "use the network's name for it, or let playbooks/prepare-network.yml add it",
        )
    for name in CHAIN_IDS:
        chain_id = host.values.get(name, network.chain_id)
        if chain_id != network.chain_id:
            yield found(
                f"{name} is {chain_id}, the network in {host.folder} is {network.chain_id}",
                "set it back, or set xian_network_directory to another folder",
            )


def _key_of_another(host: Host, network: Network) -> Iterator[Finding]:
    """The key file that a host is given is the one that everybody knows it by."""
    keys = {
        name: b64encode(bytes.fromhex(identity["public_key"])).decode()
        for name, identity in network.hosts.items()
    }
    if host.validator and host.validator != keys.get(host.name, host.validator):
        owners = [name for name, key in keys.items() if key == host.validator]
        yield Finding(
            "identity",
            (host.name,),
            f"hosts/{host.name}/priv_validator_key.json in {host.folder} holds "
            f"{f'the key of {owners[0]}' if owners else 'another key than network.json tells'}",
            "put back the file that playbooks/prepare-network.yml made: two with one key sign "
            "against each other",
        )


def _one_genesis(inventory: Inventory) -> Iterator[Finding]:
    """Two hosts of one chain id must have one genesis."""
    seen: dict[str, tuple[str, str]] = {}
    for host in inventory.nodes:
        if network := inventory.network(host):
            chain, digest = network.chain_id, network.genesis_sha256
            first, known = seen.setdefault(chain, (host.name, digest))
            if known != digest:
                yield Finding(
                    "consensus",
                    (first, host.name),
                    f"{first} and {host.name} have different geneses of {chain}",
                    "give both the same xian_node_network",
                )


def _identities(network: Network) -> Iterator[Finding]:
    for field, what in (("public_key", "validator's key"), ("node_id", "node id")):
        owners: dict[str, list[str]] = {}
        for name, identity in sorted(network.hosts.items()):
            owners.setdefault(str(identity[field]).lower(), []).append(name)
        for names in owners.values():
            if len(names) > 1:
                yield Finding(
                    "identity",
                    tuple(names),
                    f"{' and '.join(names)} have one {what}",
                    "each host needs keys of its own: two with one key sign against each other",
                )


def _keys(folder: str, network: Network, inventory: Inventory) -> Iterator[Finding]:
    """Keys are for their owner alone, and encrypted where that was not waived."""
    if network.open:
        what = f"others may read keys in {folder}: {', '.join(network.open)}"
        yield Finding("vault", (), what, f"chmod -R go= {folder}")
    hosts = [host for host in inventory.hosts.values() if host.folder == folder]
    if network.plain and not any(host.flag("xian_network_unencrypted") for host in hosts):
        yield Finding(
            "vault",
            (),
            f"{len(network.plain)} keys in {folder} are not encrypted",
            "playbooks/prepare-network.yml encrypts them when it is given a vault password",
            Level.WARNING,
        )


def _elsewhere(folder: str, network: Network, inventory: Inventory) -> Iterator[Finding]:
    """A host that only the network names is another inventory's, or was taken out too early."""
    workers = {name for name in network.hosts if f"processor-{name}" in network.wallets}
    if others := sorted(workers - inventory.hosts.keys()):
        yield Finding(
            "inventory",
            (),
            f"the network in {folder} has workers on {', '.join(others)}, which this inventory "
            "does not name: they keep their right to claim",
            "right where another inventory deploys them; a host that was removed goes into the "
            "group retired for one deployment",
            Level.WARNING,
        )


def _same(
    inventory: Inventory, names: tuple[str, ...], check: str, level: Level
) -> Iterator[Finding]:
    """Compare settings between the nodes of one network."""
    networks: dict[str, list[Host]] = {}
    for host in inventory.nodes:
        networks.setdefault(host.folder, []).append(host)
    for hosts in networks.values():
        for name in names:
            values: dict[str, list[str]] = {}
            for host in hosts:
                if (value := host.get(name)) is not None:
                    values.setdefault(str(value), []).append(host.name)
            if len(values) > 1:
                listed = "; ".join(f"{v or 'empty'} on {', '.join(h)}" for v, h in values.items())
                yield Finding(
                    check,
                    tuple(host for group in values.values() for host in group),
                    f"{name} differs: {listed}",
                    "set it once for all nodes, in group_vars",
                    level,
                )


def _other_fees(host: Host) -> Iterator[Finding]:
    """Wallets are funded by the contract's fee mode; the network's own is a word for both."""
    node = host.text("xian_node_fee_mode")
    for name in ("workflow_contract_fee_mode", "xian_network_fee_mode"):
        if node and (other := host.text(name)) and node != other:
            yield Finding(
                "settings",
                (host.name,),
                f"{name} is {other}, the nodes have {node}",
                "xian_node_fee_mode is what counts: set both to the network's",
            )
