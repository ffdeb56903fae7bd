"""Networks of hosts: boot them, find them again, take them down, and what others left as well."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import yaml

from steps import SetupError, write_text

from . import REPO, images, links, plays, store
from .group import Group, names, sweep
from .host import Host, HostError
from .plays import Play
from .store import HostRecord, Owner, Record

_SSH_CONFIG = """\
{hosts}Host *
  User root
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 5
  # A connection that was cut is noticed after 15 s.
  ServerAliveInterval 5
  ServerAliveCountMax 3
  LogLevel ERROR
"""


class Network:
    """Hosts that were booted together: `network["one"]` is the one of that name."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.variables: dict[str, Any] = {}
        # One for all plays, though another build ends meanwhile: a deployment brings no other.
        self._release = str((REPO / "dist" / "latest.json").resolve())
        self._plays: list[Play] = []
        self.hosts = {host.name: Host(record, host) for host in record.hosts}

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    @property
    def folder(self) -> Path:
        """Where its key, its SSH configuration and its inventory are."""
        return self.record.folder

    @classmethod
    def find(cls, name: str) -> Self:
        """Hosts that were booted before, by the name of their network."""
        record = store.read(store.NETWORKS / name)
        if record is None:
            known = ", ".join(record.name for record in store.records()) or "none"
            raise SetupError(f"there is no network {name}", f"take one that there is: {known}")
        return cls(record)

    @classmethod
    def boot(
        cls,
        name: str,
        suites: Mapping[str, str],
        groups: Mapping[str, Sequence[str]] | None = None,
        owner: Owner | None = None,
    ) -> Self:
        """Boot a host of each name, with the suite that is named for it, and wait for all.

        `groups` are those of the inventory, with the hosts in each. With an owner, the hosts go
        once it has ended; else they stay until `down`.
        """
        images.check_machine()
        made = {suite: images.make(suite) for suite in dict.fromkeys(suites.values())}
        clean()
        record = _claim(name, suites, groups or {}, made, owner or store.owner_of_new_hosts())
        network = cls(record)
        try:
            links.add_bridge(record)
            network._write_ssh()
            network.write_inventory()
            key = (network.folder / "key.pub").read_text()
            for host in network:
                host.spawn(key)
            with ThreadPoolExecutor(len(network.hosts)) as pool:
                states = list(pool.map(Host.wait, network))
            _refuse_degraded(network, states)
            _refuse_firewall(network)
        except BaseException:
            network.down()
            raise
        network.record = record.made_ready()
        return network

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Play:
        """Run a playbook on these hosts to its end: `deploy` of this repository, or a file."""
        return self.begin(playbook, *arguments, **variables).wait()

    def begin(self, playbook: str, *arguments: str, **variables: Any) -> Play:
        """Begin to run a playbook, for a test that does something meanwhile."""
        self.write_inventory()
        play = Play(self.record, playbook, arguments, variables)
        self._plays.append(play)
        return play

    def write_inventory(self) -> Path:
        """Write the inventory of these hosts, with `variables` for all of them."""
        given = {"release_file": self._release, **self.variables}
        file = self.folder / "inventory.yml"
        write_text(file, yaml.safe_dump(plays.inventory(self.record, given)))
        return file

    def down(self) -> None:
        """End every process, remove links, mounts and files; what is gone already is no error."""
        for play in self._plays:
            play.close()
        take_down(self.record)

    def _write_ssh(self) -> None:
        folder = self.folder
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.record.name]
        subprocess.run([*command, "-f", folder / "key"], check=True)
        keys = {images.host_key(Path(host.record.image)): None for host in self}
        (folder / "known_hosts").write_text("".join(f"* {key}\n" for key in keys))
        hosts = "".join(f"Host {host.name}\n  HostName {host.address}\n" for host in self)
        (folder / "ssh_config").write_text(_SSH_CONFIG.format(hosts=hosts, folder=folder))


# What `booted` has booted and not taken down yet.
alive: list[Network] = []


@contextlib.contextmanager
def booted(
    name: str, suites: Mapping[str, str], groups: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Network]:
    """Hosts that are there for a while: `with booted("x", {"one": "bookworm"}) as hosts:`."""
    owner = store.owner_of_new_hosts() or Owner.of(os.getpid())
    # Two runs of the same test at once have hosts of their own.
    network = Network.boot(f"{name}-{os.getpid()}", suites, groups, owner)
    alive.append(network)
    try:
        yield network
    finally:
        alive.remove(network)
        network.down()


def clean(*, everything: bool = False, of: Owner | None = None) -> list[str]:
    """Take down what nobody uses any more, and what is `of` an owner, or all; return the names."""
    taken = []
    sweep()
    for discarded in store.TRASH.glob("*"):
        store.remove_tree(discarded)
    with store.alone():
        for record in store.records():
            if everything or record.is_left or (of is not None and record.owner == of):
                take_down(record)
                taken.append(record.name)
        for folder in store.unreadable():
            _discard(folder)
            taken.append(folder.name)
        _remove_unknown()
    return taken


def take_down(record: Record) -> None:
    """End and remove everything of a network."""
    for host in record.hosts:
        Group(host.machine).kill()
    for host in record.hosts:
        links.remove(host.link)
    links.remove(record.bridge)
    _discard(record.folder)


def _remove_unknown() -> None:
    """Remove processes and links of networks that nothing is written down of any more."""
    known = {record.number for record in store.records()}
    for name in [*names(), *links.names()]:
        found = store.NAME.fullmatch(name)
        if found and int(found["network"]) not in known:
            Group(name).kill()
            links.remove(name)


def _discard(folder: Path) -> None:
    """Remove a folder in one step for those who look, however long its files take."""
    store.TRASH.mkdir(mode=0o700, exist_ok=True)
    discarded = store.TRASH / f"{folder.name}-{uuid.uuid4().hex}"
    with contextlib.suppress(FileNotFoundError):
        folder.rename(discarded)
    store.remove_tree(discarded)


def _refuse_degraded(network: Network, states: list[str]) -> None:
    for host, state in zip(network, states, strict=True):
        if state != "running":
            failed = host.output("systemctl --failed --no-legend --plain")
            raise HostError(f"{host.name} is {state}: {failed}")


def _refuse_firewall(network: Network) -> None:
    """Raise `SetupError` where a rule for what this machine forwards keeps the hosts apart."""
    one, *others = network
    for other in others[:1]:
        command = ["timeout", "5", "bash", "-c", f"exec 3<>/dev/tcp/{other.address}/22"]
        if one.run(command, check=False).returncode != 0:
            accept = "iptables -I FORWARD -i wbh+ -o wbh+ -j ACCEPT"
            raise SetupError("this machine's firewall keeps test hosts apart", accept)


def _claim(
    name: str,
    suites: Mapping[str, str],
    groups: Mapping[str, Sequence[str]],
    made: Mapping[str, Path],
    owner: Owner | None,
) -> Record:
    """Write down what is about to be made, so that it can be removed however this ends."""
    with store.alone():
        if (store.NETWORKS / name).exists():
            command = f"{Path(sys.executable)} -m tests.hosts down {name}"
            raise SetupError(f"there is a network {name} already", command)
        taken = {record.number for record in store.records()}
        number = links.free_number(taken, links.routes(), store.last_number())
        store.LAST.write_text(f"{number}\n")
        hosts = [
            HostRecord(
                name=host,
                suite=suite,
                image=str(made[suite]),
                network=number,
                number=place,
                groups=tuple(group for group, members in groups.items() if host in members),
            )
            for place, (host, suite) in enumerate(suites.items(), 1)
        ]
        record = Record(name, number, Owner.of(os.getpid()), owner, tuple(hosts))
        record.write()
    return record
