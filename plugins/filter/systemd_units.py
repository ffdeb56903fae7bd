"""Units of systemd for a set of programs, and the sandbox that each of them has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DOCUMENTATION = """
name: systemd_units
short_description: The systemd units of a set of programs
description:
  - A program sees its own folders alone, has no capability and reaches only the network that it
    names. The role C(program) describes the fields.
  - Lines that begin with C(@SINCE VERSION@) are for that version of systemd and later ones;
    C(@REVISION@) is where the digest of the program's credentials and revision belongs. The module
    C(systemd_programs) fills in both.
options:
  _input: {description: The programs, type: list, elements: dict, required: true}
  credentials: {description: Folder of the credentials on the host, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
units: "{{ program_list | xian.workflow_backend.systemd_units('/etc/credentials') }}"
properties: "{{ program_list | first | xian.workflow_backend.systemd_sandbox }}"
"""
RETURN = """
_value: {description: Text of each unit by its name, type: dict}
"""

_RESTART = """\
Restart=always
# Each restart waits longer than the one before, until somebody starts the unit anew. Before 254 systemd can't do that
# and waits a second each time: a wait of our own before the program would hold up who starts it by hand.
RestartSec=1
@SINCE 254@RestartSteps=6
@SINCE 254@RestartMaxDelaySec=30"""  # noqa: E501 - a line of a unit is no line of this file

_SANDBOX = """\
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
LimitCORE=0"""

_NETWORKS = {
    "none": (
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "IPAddressDeny=any",
    ),
    "local": (
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
    ),
    "any": ("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",),
    "peers": ("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",),
}


def systemd_units(programs: Sequence[Mapping[str, Any]], credentials: str) -> dict[str, str]:
    """Return the text of each unit by its name."""
    return {
        _unit_name(program["name"]): "\n".join(_lines(program, credentials)) + "\n"
        for program in programs
    }


def systemd_sandbox(program: Mapping[str, Any]) -> list[str]:
    """Return the properties that confine a program, of the same fields as for a unit.

    They are lines of a unit's section Service, and properties of `systemd-run`.
    """
    return [line for line in "\n".join(_sandbox(program)).splitlines() if line]


def _unit_name(program: str) -> str:
    return f"workflow-backend-{program}.service"


def _lines(program: Mapping[str, Any], credentials: str) -> Iterator[str]:
    yield "# Written by the deployment."
    yield from _unit_section(program)
    yield ""
    yield from _service_section(program, credentials)
    yield ""
    yield from _sandbox(program)
    yield from ("", "[Install]", "WantedBy=multi-user.target")


def _unit_section(program: Mapping[str, Any]) -> Iterator[str]:
    yield "[Unit]"
    yield f"Description={program['description']}"
    if before := " ".join(_unit_name(name) for name in program.get("after") or ()):
        yield f"Wants={before}"
        yield f"After={before}"
    yield "# Giving up is for people, not for programs."
    yield "StartLimitIntervalSec=0"


def _service_section(program: Mapping[str, Any], credentials: str) -> Iterator[str]:
    yield "[Service]"
    yield "Type=notify"
    environment = {**(program.get("environment") or {}), "WORKFLOW_REVISION": "@REVISION@"}
    for name in sorted(environment, key=str.lower):
        yield f"Environment={_quoted(f'{name}={environment[name]}')}"
    for name in program.get("credentials") or ():
        yield f"LoadCredential={name}:{credentials}/{program['name']}/{name}"
    words = (_quoted(word).replace("$", "$$") for word in program["command"])
    yield f"ExecStart={' '.join(words)}"
    yield f"WorkingDirectory={program['directory']}"
    yield _RESTART
    yield f"TimeoutStartSec={program.get('start_seconds', 90)}"
    yield f"TimeoutStopSec={program.get('stop_seconds', 30)}"
    yield f"KillSignal=SIG{program.get('stop_signal', 'TERM')}"
    yield f"KillMode={'control-group' if program.get('stop_together') else 'mixed'}"
    yield f"WatchdogSec={program.get('watchdog_seconds', 30)}"


def _sandbox(program: Mapping[str, Any]) -> Iterator[str]:
    yield f"User={program['account']}"
    yield f"Group={program['account']}"
    if groups := program.get("groups"):
        yield f"SupplementaryGroups={' '.join(groups)}"
    yield f"UMask={program.get('umask', '0077')}"
    yield ""
    yield "ProtectSystem=strict"
    yield f"ReadWritePaths={' '.join(program['writable'])}"
    yield from ("ProtectHome=yes", "PrivateTmp=yes", "PrivateMounts=yes", "PrivateDevices=yes")
    yield "DevicePolicy=closed"
    if not program.get("knows_accounts"):
        yield "PrivateUsers=yes"
    yield from _NETWORKS[program.get("network", "none")]
    yield _SANDBOX
    if calls := program.get("system_calls"):
        yield f"SystemCallFilter={' '.join(calls)}"


def _quoted(text: object) -> str:
    """Quote a word as systemd reads it: with backslash escapes, and a percent sign doubled."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace("%", "%%")}"'


class FilterModule:
    """Tells Ansible of the filters."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"systemd_units": systemd_units, "systemd_sandbox": systemd_sandbox}
