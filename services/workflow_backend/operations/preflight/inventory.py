"""The hosts of an inventory, with what each of them sets and what that comes to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import Any

from . import machine_answer
from .catalogue import Catalogue

ROLES = {
    "postgres": ("postgres",),
    "xian_node": ("xian_network", "xian_node"),
    "workflow_services": ("xian_network", "workflow_contract", "workflow_services"),
}
"""What is deployed on the hosts of a group."""


@dataclass(frozen=True)
class Host:
    """A host: its groups, the variables that the inventory gives it, and what was seen on it.

    A name without a value is of a variable that can't be evaluated; `closed` are the host's files
    in the network folder that can't be read, `validator` is the public key that is in one of them,
    in base64, `wallets` the private keys that are in others, by service. `machine` is what the
    module machine_facts says, None where it could not be asked; `trouble` is why not.
    """

    name: str
    catalogue: Catalogue
    groups: frozenset[str]
    names: frozenset[str]
    values: Mapping[str, Any]
    closed: Sequence[str] = ()
    machine: Mapping[str, Any] | None = None
    trouble: str = ""
    validator: str = ""
    wallets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, name: str, given: Mapping[str, Any], catalogue: Catalogue) -> Host:
        """Make it of the request's JSON, in which every value is a JSON text of its own."""
        machine, trouble = machine_answer.parse_machine(given.get("machine"))
        return cls(
            name,
            catalogue,
            frozenset(given["groups"]),
            frozenset(given["names"]),
            {key: json.loads(text) for key, text in given["values"].items()},
            given["closed"],
            machine,
            given.get("trouble") or trouble,
            given.get("validator") or "",
            given.get("wallets") or {},
        )

    def get(self, name: str) -> Any:
        """Return what a variable is here: set, by default, or None where that is not known."""
        if name in self.values:
            return self.values[name]
        return None if name in self.names else self.catalogue.default(name, self.values)

    def text(self, name: str) -> str:
        """Return a variable as text; empty where it is not set."""
        value = self.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Return a variable as Ansible reads a truth."""
        return truth(self.get(name)) is True

    @property
    def local(self) -> bool:
        """Whether it is the control machine itself."""
        return bool(self.values.get("ansible_connection") == "local")

    @property
    def systemd(self) -> bool:
        """Whether systemd keeps its programs, as on every host but a development machine."""
        return self.text("program_manager") != "supervisor"

    @property
    def folder(self) -> str:
        """The folder of its network on the control machine."""
        name = "xian_node_network" if self.node else "xian_network_directory"
        return normpath(folder) if (folder := self.text(name)) else ""

    @property
    def roles(self) -> set[str]:
        """The roles whose options its variables are."""
        return {role for group in self.groups & ROLES.keys() for role in ROLES[group]}

    @property
    def services(self) -> Sequence[str]:
        """The services that run here: all of them unless some are named."""
        if "workflow_services" not in self.groups:
            return []
        names = self.get("workflow_services_names")
        known = self.catalogue.options["workflow_services_names"].choices
        return names if isinstance(names, list) else known

    @property
    def node(self) -> bool:
        """Whether a node runs here."""
        return "xian_node" in self.groups


@dataclass(frozen=True, slots=True)
class Release:
    """What its build says of a release: its name, and the room that installing it needs in bytes.

    `missing` is the file that is not there where there is no release.
    """

    name: str = ""
    needs: int = 0
    missing: Path | None = None


@dataclass(frozen=True)
class Pem:
    """What lies in PEM on the control machine for a host; None is a file that can't be looked into.

    `authorities` are by the variable that names them. `plain_key` is a file beside the API's
    certificate that has its key in plain text, `open_key` whether others may read that.
    """

    certificate: bytes | None = None
    authorities: Mapping[str, bytes | None] = field(default_factory=dict)
    plain_key: str = ""
    open_key: bool = False


@dataclass(frozen=True)
class Network:
    """What everybody may know of a network: what network.json and wallets.json in its folder say.

    `hosts` are the public keys and node ids of its nodes by name. Of the key files in the folder
    `plain` are not encrypted, and `open` may be read by others.
    """

    chain_id: str
    genesis_sha256: str
    hosts: Mapping[str, Mapping[str, Any]]
    operator: str = ""
    peers: Sequence[str] = ()
    wallets: Mapping[str, str] = field(default_factory=dict)
    plain: Sequence[str] = ()
    open: Sequence[str] = ()


@dataclass(frozen=True)
class Inventory:
    """All hosts, and what the control machine's files say of them.

    `networks` holds what each network folder that a host names has, None where there is none;
    `files` the texts of the inventory's own files; `absent` those that variables name and that are
    not there; `handlers` the handlers' files that are wrong, with what is; `tokens` what is wrong
    with the tokens of a host; `releases` the release and `certificates` the certificates of each
    host that is given some. `play` are the hosts that the deployment is about.
    """

    hosts: Mapping[str, Host]
    play: frozenset[str]
    networks: Mapping[str, Network | None] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    handlers: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)
    certificates: Mapping[str, Pem] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Host]:
        """The hosts with a node."""
        return [host for host in self.hosts.values() if host.node]

    def network(self, host: Host) -> Network | None:
        """Return the network of a host."""
        return self.networks.get(host.folder)


def truth(value: Any) -> bool | None:
    """Return what Ansible makes of a value that has to be a truth; None where it refuses it."""
    word = str(value).lower()
    if word in {"y", "yes", "on", "1", "true", "t", "1.0"}:
        return True
    return False if word in {"n", "no", "off", "0", "false", "f", "0.0"} else None
