"""What is written down of booted hosts, so that any later process can find and remove them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from steps import SetupError, write_json

HOME = Path("/var/lib/workflow-backend-hosts")
NETWORKS = HOME / "networks"
TRASH = HOME / "trash"
LOCK = HOME / "lock"
LAST = HOME / "last"

# The number of a network is in its addresses and in the names of its links, of 15 bytes at most.
NAME = re.compile(r"(vb-)?wbh(?P<network>\d+)(-\d+)?")
LAST_NUMBER = 254
LAST_HOST = 200
_FIRST_ADDRESS = 10


@dataclass(frozen=True)
class Owner:
    """A process that hosts are booted for; its number alone may be another's after a while."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this number now."""
        return cls(pid, _started(pid))

    @property
    def lives(self) -> bool:
        """Whether this very process still runs."""
        return self.started != "" and _started(self.pid) == self.started


def _started(pid: int) -> str:
    """When a process started, as the kernel counts it, on which boot; empty where there is none."""
    try:
        state, *after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else f"{boot_id()} {after[18]}"


def boot_id() -> str:
    """Which boot of this machine it is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class HostRecord:
    """A host: its name, the suite of Debian on it, and its place on the network."""

    name: str
    suite: str
    image: str
    network: int
    number: int
    groups: tuple[str, ...] = ()

    @property
    def machine(self) -> str:
        """The name that the kernel's objects of the host have: container, control group."""
        return f"wbh{self.network}-{self.number}"

    @property
    def link(self) -> str:
        """The end of the host's network link that is on this machine."""
        return f"vb-{self.machine}"

    @property
    def address(self) -> str:
        """The host's address."""
        return f"10.213.{self.network}.{_FIRST_ADDRESS + self.number}"


@dataclass(frozen=True)
class Record:
    """The hosts of one network."""

    name: str
    number: int
    maker: Owner
    owner: Owner | None
    hosts: tuple[HostRecord, ...]
    ready: bool = False

    @property
    def bridge(self) -> str:
        """The link that all hosts hang on."""
        return f"wbh{self.number}"

    @property
    def gateway(self) -> str:
        """This machine's own address on the bridge."""
        return f"10.213.{self.number}.1"

    @property
    def subnet(self) -> str:
        """The addresses of the network."""
        return f"10.213.{self.number}.0/24"

    @property
    def folder(self) -> Path:
        """Where everything of the network is kept."""
        return NETWORKS / self.name

    @property
    def is_left(self) -> bool:
        """Whether nobody is there any more who would use the hosts or take them down."""
        if self.maker.started.partition(" ")[0] != boot_id():
            return True  # the machine was started anew: the hosts are gone
        if self.owner is not None and not self.owner.lives:
            return True
        return not self.ready and not self.maker.lives

    def write(self) -> None:
        """Write it down."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.folder / "state.json", asdict(self))

    def made_ready(self) -> Self:
        """The same with every host booted, written down."""
        ready = replace(self, ready=True)
        ready.write()
        return ready


def name_of(text: str) -> str:
    """The name of a network as it was given, or for the folder of one of Molecule's scenarios."""
    if "/" not in text:
        return text
    folder = Path(text).resolve()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    return f"{folder.parent.parent.name}-{folder.name}-{digest}"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Be the only process that takes numbers or takes hosts down, for a moment."""
    LOCK.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_tree(folder: Path) -> None:
    """Remove a folder, also while another process does; never what is mounted in it."""
    if not folder.exists():
        return
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = Path(line.split()[1])
        if place.is_relative_to(folder):
            raise SetupError(f"{place} is mounted", f"umount {place}")
    shutil.rmtree(folder, onexc=_raise_unless_gone)


def _raise_unless_gone(_: object, __: str, error: BaseException) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def read(folder: Path) -> Record | None:
    """What was written down in a folder; None where there is nothing that can be read."""
    try:
        found: dict[str, Any] = json.loads((folder / "state.json").read_text())
        found["maker"] = Owner(**found["maker"])
        found["owner"] = Owner(**found["owner"]) if found["owner"] else None
        found["hosts"] = tuple(
            HostRecord(**{**host, "groups": tuple(host["groups"])}) for host in found["hosts"]
        )
        return Record(**found)
    except OSError, ValueError, TypeError, KeyError:
        return None


def records() -> list[Record]:
    """All networks that are written down."""
    if not NETWORKS.is_dir():
        return []
    found = [read(folder) for folder in sorted(NETWORKS.iterdir())]
    return [record for record in found if record is not None]


def last_number() -> int:
    """The number of the network that was made last."""
    try:
        return int(LAST.read_text())
    except OSError, ValueError:
        return 0


def unreadable() -> list[Path]:
    """Folders of networks that say nothing of their hosts."""
    if not NETWORKS.is_dir():
        return []
    return [folder for folder in sorted(NETWORKS.iterdir()) if read(folder) is None]


def owner_of_new_hosts() -> Owner | None:
    """Whom the surroundings name as the owner; with None, hosts stay until `down`."""
    pid = os.environ.get("WORKFLOW_BACKEND_HOSTS_OWNER")
    return Owner.of(int(pid)) if pid else None
