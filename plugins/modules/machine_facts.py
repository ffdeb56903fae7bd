#!/usr/bin/python
"""Gathers what preflight has to know of a machine."""

import base64
import hashlib
import ipaddress
import json
import os
import platform
import pwd
import re
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import safe_files

DOCUMENTATION = """
module: machine_facts
short_description: Reports what a machine is, has and already runs
description:
  - It changes nothing. An ordinary account can't see whose the sockets of other accounts are.
options:
  asked_at: {description: The time of the control machine, type: float, required: true}
  release: {description: Folder of the releases, type: str, required: true}
  data: {description: Folder of the data, type: str, required: true}
  home: {description: A node's home; none where empty, type: str, default: ""}
  further: {description: Other folders with data, type: list, elements: str, default: []}
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
RETURN = """
machine: {description: What was seen, type: dict, returned: success}
"""

PROC = Path("/proc")
# What the accounts and folders of a deployment are made by.
DEPLOYED = Path("/etc/tmpfiles.d/workflow-backend.conf")
UNITS = Path("/etc/systemd/system")
# Where systemd writes down that it runs in a container.
CONTAINER = Path("/run/systemd/container")
LISTENS = "0A"


def main():
    """Gather the facts."""
    module = AnsibleModule(
        argument_spec={
            "asked_at": {"type": "float", "required": True},
            "release": {"type": "str", "required": True},
            "data": {"type": "str", "required": True},
            "home": {"type": "str", "default": ""},
            "further": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    release, data = Path(module.params["release"]), Path(module.params["data"])
    further = [Path(folder) for folder in module.params["further"]]
    module.exit_json(
        changed=False,
        machine={
            "time": time.time(),
            "asked_at": module.params["asked_at"],
            # The clock of a container is its host's.
            "synchronised": None
            if CONTAINER.exists()
            else synchronised(said(module, "timedatectl", "show")),
            "os": system(read(Path("/etc/os-release"))),
            "machine": platform.machine(),
            "root": os.geteuid() == 0,
            "init": read(PROC / "1/comm").strip(),
            "systemd": systemd(said(module, "systemctl", "--version")),
            "memory": memory(read(PROC / "meminfo")),
            "release": str(release),
            "data": str(data.resolve()),
            "releases": entries(release / "releases"),
            "current": kind(release / "current"),
            "runs": target(release / "current"),
            "programs": sorted(path.stem for path in UNITS.glob("workflow-backend-*.service")),
            "deployed": DEPLOYED.exists(),
            "places": {str(path): place(path) for path in (release, data, *further)},
            "listeners": listeners(),
            "home": home(Path(module.params["home"])) if module.params["home"] else NO_HOME,
        },
    )


LARGEST = 64 << 20  # bytes of a genesis at most


def regular(path):
    """Return the bytes of a plain file; raises OSError for another, ValueError for a large one.

    A home is its account's: no link that this put on the way is followed, and nothing is waited
    for.
    """
    with safe_files.reading(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path} is too large")
    return content


def read(path):
    """Return the text of a file of the system, empty where it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def said(module, *command):
    """Return what a program prints, nothing where it fails or is not there."""
    if module.get_bin_path(command[0]) is None:
        return ""
    status, out, _ = module.run_command(list(command))
    return out if status == 0 else ""


def system(text):
    """Return which system it is, of os-release's text."""
    found = dict(re.findall(r"""(?m)^([A-Z_]+)=["']?(.*?)["']?$""", text))
    names = {"id": "ID", "version": "VERSION_ID", "name": "PRETTY_NAME"}
    return {name: found.get(key, "") for name, key in names.items()}


def systemd(text):
    """Return systemd's version, 0 where there is none."""
    match = re.match(r"systemd (\d+)", text)
    return int(match.group(1)) if match else 0


def synchronised(text):
    """Tell whether something keeps the clock right; None where nobody says."""
    match = re.search(r"(?m)^NTPSynchronized=(yes|no)$", text)
    return match.group(1) == "yes" if match else None


def memory(text):
    """Return all memory in bytes, of /proc/meminfo's text."""
    match = re.search(r"MemTotal:\s+(\d+) kB", text)
    return int(match.group(1)) * 1024 if match else 0


def kind(path):
    """Return what is at a path."""
    if path.is_symlink():
        return "link"
    if not path.exists():
        return "missing"
    return "folder" if path.is_dir() else "file"


def target(path):
    """Return the name of what a link leads to, empty where it is none."""
    return path.readlink().name if path.is_symlink() else ""


def place(path):
    """Return what is in a folder, and the room of the file system that it is or will be on.

    Behind a link of another account's there is nothing: that account chose where it leads.
    """
    on = path
    while True:
        try:
            with safe_files.folder(on) as holder:
                room = os.fstatvfs(holder)
                return {
                    "entries": sorted(os.listdir(holder))[:100] if on == path else [],  # noqa: PTH208
                    "device": os.fstat(holder).st_dev,
                    "free": room.f_bavail * room.f_frsize,
                    "inodes": room.f_files,
                    "inodes_free": room.f_favail,
                }
        except OSError:  # it is missing, closed to this account, no folder, or behind such a link
            if on == on.parent:
                raise
            on = on.parent


def entries(path):
    """Return what is in a folder, nothing where there is none."""
    try:
        return sorted(entry.name for entry in path.iterdir())[:100]
    except OSError:
        return []


NO_OWNER = {"program": "", "process": 0, "unit": "", "folder": ""}


def listeners():
    """Return every TCP socket that listens, with whose it is."""
    found = []
    for table in ("tcp", "tcp6"):
        for line in read(PROC / "net" / table).splitlines()[1:]:
            columns = line.split()  # sl local_address rem_address st ... uid timeout inode
            if columns[3] == LISTENS:
                address, _, port = columns[1].rpartition(":")
                found.append((decoded(address), int(port, 16), int(columns[7]), columns[9]))
    owners = socket_owners({inode for _, _, _, inode in found})
    return [
        {
            "address": address,
            "port": port,
            "user": account(uid),
            **owners.get(inode, NO_OWNER),
        }
        for address, port, uid, inode in found
    ]


def decoded(address):
    """Return an address of the kernel's table as people write it."""
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    ip = ipaddress.ip_address(b"".join(words))
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def socket_owners(inodes):
    """Return who holds each socket, and where it works, as far as this account may see."""
    owners = {}
    for process in PROC.iterdir() if inodes else ():
        if not process.name.isdigit():
            continue
        try:
            for descriptor in (process / "fd").iterdir():
                target = os.readlink(descriptor)  # noqa: PTH115 - a Path of each would take thrice as long
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    owners[target[8:-1]] = {
                        "program": read(process / "comm").strip(),
                        "process": int(process.name),
                        "unit": unit(process),
                        "folder": os.readlink(process / "cwd"),  # noqa: PTH115 - as above
                    }
        except OSError:  # it has just ended, or it is another's
            continue
    return owners


def unit(process):
    """Return the unit of systemd that a process belongs to, empty where it is none's."""
    units = re.findall(r"[^/\n]+\.service", read(process / "cgroup"))
    return units[-1] if units else ""


def account(uid):
    """Return the name of an account."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def fee_mode(path):
    """Return the fee mode in a node's configuration, empty where it tells none."""
    try:
        text = regular(path).decode(errors="replace")
    except FileNotFoundError:
        return ""
    match = re.search(r'(?m)^tx_fee_mode *= *"(\w+)"', text)
    return match[1] if match else ""


NO_HOME = {"chain_id": "", "genesis_sha256": "", "validator": "", "fee_mode": "", "problem": ""}


def home(path):
    """Return whose a node's home is, by its public parts; all is empty where there is none."""
    try:
        with safe_files.folder(path) as holder:
            if not os.listdir(holder):  # noqa: PTH208
                return NO_HOME
    except safe_files.Unsafe as error:
        return {**NO_HOME, "problem": f"{error.filename}: {error.strerror}"}
    except OSError:  # it is missing, or closed to this account
        return NO_HOME
    try:
        mode = fee_mode(path / "config/xian.toml")
        genesis = regular(path / "config/genesis.json")
        key = json.loads(regular(path / "config/priv_validator_key.json"))
        return {
            "chain_id": json.loads(genesis)["chain_id"],
            "genesis_sha256": hashlib.sha256(genesis).hexdigest(),
            "validator": base64.b64decode(key["pub_key"]["value"]).hex(),
            "fee_mode": mode,
            "problem": "",
        }
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    except (KeyError, TypeError, ValueError, RecursionError):
        problem = "its genesis.json or priv_validator_key.json is broken"
    return {**NO_HOME, "problem": problem}


if __name__ == "__main__":
    main()
