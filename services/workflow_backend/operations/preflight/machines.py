"""Machines: each host can take what is put on it, and nothing of others is in the way."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

from . import disks, homes
from .addresses import endpoints
from .findings import Finding, Level
from .inventory import Host, Inventory, Release

OLDEST_SYSTEMD = 252
OLDEST_SYSTEM = {"debian": (12,), "ubuntu": (22, 4)}
MEMORY_LEAST = 900 << 20
MEMORY_ENOUGH = 1800 << 20
CLOCK_SECONDS = 5.0

REACHING = {
    "is not the module's": (
        "something else than Ansible's Python answers: examine the host before use"
    ),
    r"requires Python|minimum of Python|interpreter .*not found|No python|SyntaxError": (
        "it needs Python 3.9 or later: apt-get install python3, or set ansible_python_interpreter"
    ),
    r"become|sudo|doas|a password is required": (
        "Ansible has to become root there: see ansible_become, and --ask-become-pass"
    ),
    "Host key verification": "add the host's key to known_hosts: ssh-keyscan, or ssh to it once",
    "Permission denied": "see ansible_user and its SSH key",
}
"""What Ansible says of a host that it does not reach, and what to do then."""

OURS = re.compile(r"releases|current|previous|.*\.tar\.gz|\..*")
"""What is in the folder of the releases, with what was not finished."""

REASON_CHARACTERS = 1000
"""How many characters of the reason why a host can't be checked are shown."""

UNIT = re.compile(r"workflow-backend-[a-z]+\.service")


@dataclass(frozen=True, slots=True)
class Control:
    """The control machine: its clock, now, and the kind of machine it is."""

    time: float
    machine: str


def check(inventory: Inventory, control: Control) -> Iterator[Finding]:
    """Look at what was seen on every host that was asked."""
    for host in inventory.hosts.values():
        if host.trouble:
            yield _trouble(host)
        elif host.machine is not None:
            yield from _host(host, host.machine, inventory, control)
    yield from homes.judge_identities(inventory)


def _host(
    host: Host, seen: Mapping[str, Any], inventory: Inventory, control: Control
) -> Iterator[Finding]:
    if host.systemd:
        yield from _system(host, seen, control)
        yield from _memory(host, seen["memory"])
        yield from _release(host, seen)
        yield from _strange(host, seen)
    if not host.local:
        yield from _clock(host, seen, control)
    yield from disks.check(host, seen, inventory.releases.get(host.name, Release()))
    if seen["root"] or not host.systemd:
        # Only root can see the owner of a socket; to others our own would look foreign.
        yield from _ports(host, seen)
    if host.node:
        yield from homes.check(host, seen["home"], inventory)


def _trouble(host: Host) -> Finding:
    """A host that could not be looked at."""
    reason = " ".join(host.trouble.split()).removeprefix("Task failed: ")
    hint = f"try: ansible -i INVENTORY {host.name} -m ansible.builtin.ping"
    for pattern, better in REACHING.items():
        if re.search(pattern, reason):
            hint = better
            break
    what = f"it can't be checked: {reason[:REASON_CHARACTERS]}"
    return Finding("reach", (host.name,), what, hint)


def _system(host: Host, seen: Mapping[str, Any], control: Control) -> Iterator[Finding]:
    def found(what: str, hint: str = "", level: Level = Level.PROBLEM) -> Finding:
        return Finding("system", (host.name,), what, hint, level)

    system = seen["os"]
    oldest = OLDEST_SYSTEM.get(system["id"])
    version = tuple(int(part) for part in re.findall(r"\d+", system["version"]))
    if oldest is None or (version and version < oldest):
        name = system["name"] or "of an unknown kind"
        what = f"its system is {name}; Debian 12 and Ubuntu 22.04 or later are known to work"
        yield found(what, "it may work as well", Level.WARNING)
    if seen["machine"] != control.machine:
        what = f"its architecture is {seen['machine']}, the control machine's is"
        hint = "a release runs on the architecture it was built on: build and deploy it there"
        yield found(f"{what} {control.machine}", hint)
    if seen["init"] != "systemd":
        yield found(f"its first process is {seen['init']}, not systemd")
    elif seen["systemd"] < OLDEST_SYSTEMD:
        what = f"its systemd is {seen['systemd']}, {OLDEST_SYSTEMD} or later is needed"
        yield found(what, "Debian 12 and Ubuntu 24.04 have it")
    if not seen["root"]:
        hint = "connect as root, or set ansible_become: true"
        yield found("Ansible is not root there", hint)


def _memory(host: Host, total: int) -> Iterator[Finding]:
    share = 1 if host.node else 0.5
    if total < MEMORY_ENOUGH * share:
        short = total < MEMORY_LEAST * share
        yield Finding(
            "memory",
            (host.name,),
            f"it has {total / disks.GIB:.1f} GiB of memory",
            f"{2 * share:g} GiB are enough for what runs there",
            Level.PROBLEM if short else Level.WARNING,
        )


def _clock(host: Host, seen: Mapping[str, Any], control: Control) -> Iterator[Finding]:
    # The host looked at its clock at some time between the question and now.
    ahead, behind = seen["time"] - control.time, seen["asked_at"] - seen["time"]
    if max(ahead, behind) > CLOCK_SECONDS:
        way = "ahead of" if ahead > behind else "behind"
        yield Finding(
            "clock",
            (host.name,),
            f"its clock is {max(ahead, behind):.0f} s {way} the control machine's",
            "synchronise both by NTP: blocks carry the hosts' time",
        )
    elif host.systemd and seen["synchronised"] is False:
        yield Finding(
            "clock",
            (host.name,),
            "nothing synchronises its clock",
            "apt-get install systemd-timesyncd, or chrony",
            Level.WARNING,
        )


def _ports(host: Host, seen: Mapping[str, Any]) -> Iterator[Finding]:
    for endpoint in endpoints(host):
        for listener in seen["listeners"]:
            ip = ip_address(listener["address"])
            if endpoint.meets(ip, listener["port"]) and not _ours(host, seen, listener):
                yield Finding(
                    "ports",
                    (host.name,),
                    f"{_named(listener)} listens on {ip}:{listener['port']}, "
                    f"which {endpoint.variable} wants",
                    f"end it, or set another {endpoint.variable}",
                )


def _ours(host: Host, seen: Mapping[str, Any], listener: Mapping[str, Any]) -> bool:
    """Tell whether a listener is a program of this deployment."""
    if host.systemd:
        return UNIT.fullmatch(listener["unit"]) is not None
    # The account may be a person's own, who runs other things, too.
    return PurePosixPath(listener["folder"]).is_relative_to(seen["data"])


def _named(listener: Mapping[str, Any]) -> str:
    """Return what a person has to know to end a program."""
    if not listener["program"]:
        return f"a program of {listener['user']}"
    return f"{listener['program']} ({listener['unit'] or f'process {listener["process"]}'})"


def _release(host: Host, seen: Mapping[str, Any]) -> Iterator[Finding]:
    """The folder of the releases holds releases, or nothing."""
    path = seen["release"]
    entries = seen["places"][path]["entries"]
    strange = [entry for entry in entries if not OURS.fullmatch(entry)]
    if strange or seen["current"] not in {"link", "missing"}:
        yield Finding(
            "data",
            (host.name,),
            f"{path} holds something else than releases: {', '.join(strange[:5] or ['current'])}",
            "move it away",
        )


def _strange(host: Host, seen: Mapping[str, Any]) -> Iterator[Finding]:
    """Data that lies where nothing was deployed yet came from elsewhere."""
    for path in disks.outermost([path for path in seen["places"] if path != seen["release"]]):
        place = seen["places"][path]
        if place["entries"] and not seen["deployed"]:
            yield Finding(
                "data",
                (host.name,),
                f"{path} holds data, and nothing was deployed on this host yet: "
                f"{', '.join(place['entries'][:5])}",
                "the deployment uses it as it is; move it away if that is not intended",
                Level.WARNING,
            )
