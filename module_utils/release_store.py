"""The releases of a host: side by side in a folder, one of them current."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from pathlib import Path

from ansible.module_utils.release_files import Trouble, digest, point, remove, write
from ansible.module_utils.release_unpack import environments, unpack

MARK = ".installed.json"


class Store:
    """The releases of a host; in check mode it only tells what it would do."""

    def __init__(self, root, check):
        self.root, self.check = root, check
        self.releases = root / "releases"
        self.changes, self.removed = [], []
        self.step = "looking at what is there"

    def mark(self, name):
        """What the mark of a release says; None where the release is not there as a whole."""
        try:
            return json.loads((self.releases / name / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def installed(self):
        """The releases that are there as a whole, the one installed last first."""
        if not self.releases.is_dir():
            return []
        names = [path.name for path in self.releases.iterdir() if self.mark(path.name)]
        return sorted(names, key=lambda name: -(self.releases / name / MARK).stat().st_mtime)

    def linked(self, link):
        """The release that a link points to; None where there is no such link."""
        try:
            return (self.root / link).readlink().name
        except OSError:
            return None

    def install(self, name, archive, description):
        """Install a release unless it is there; False where the archive is needed for that."""
        mark = self.mark(name)
        if mark:
            if mark["manifest_sha256"] != description["manifest_sha256"]:
                raise Trouble(
                    "the release of that name here holds other files than the one given",
                    "deploy the archive that was installed here, or change the version and build",
                )
            return True
        if not (self.check or (archive and archive.exists())):
            return False
        self.changes.append(f"+{self.releases / name} installed")
        if self.check:
            return True
        home = self.releases / name
        try:
            self.step = "verifying the archive"
            if digest(archive) != description["sha256"]:
                archive.unlink()
                raise Trouble(
                    "the archive's SHA-256 is not the one that the build wrote down",
                    "run again; if that fails too, build the release again",
                )
            self.step = "unpacking"
            beside = self.releases / f".{name}.new"
            remove(beside)
            remove(home)  # what an interrupted run left
            room(self.root, description["unpacked_bytes"])
            manifest = unpack(archive, beside, description["manifest_sha256"])
            beside.rename(home)
            self.step = "making the environments"
            environments(home, manifest)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                remove(self.releases / f".{name}.new")
                remove(home)
            raise
        self.step = "writing the mark"
        os.sync()  # a host that loses power now has the whole release or no mark
        write(home / MARK, json.dumps(description, indent=2, sort_keys=True) + "\n")
        archive.unlink()
        return True

    def activate(self, name):
        """Let `current` point to an installed release, and `previous` to the one it pointed to."""
        self.step = "making it the current one"
        if not (self.mark(name) or self.check):
            raise Trouble("it is not installed here", "install it first (playbooks/deploy.yml)")
        before = self.linked("current")
        if before == name:
            return
        self.changes += [f"-current -> releases/{before}"] if before else []
        self.changes.append(f"+current -> releases/{name}")
        if not self.check:
            if before:
                point(self.root / "previous", f"releases/{before}")
            point(self.root / "current", f"releases/{name}")

    def prune(self, keep):
        """Remove what was interrupted, and the oldest releases beyond `keep`."""
        self.step = "removing old releases"
        names = self.installed()
        needed = {self.linked("current"), self.linked("previous")} | in_use(self.releases)
        room_for = max(keep - len(needed & set(names)), 0)
        spare = [name for name in names if name not in needed]
        self.removed = sorted(spare[room_for:])
        for name in self.removed:
            self.changes.append(f"-{self.releases / name}")
            if not self.check:
                # Without its mark a release is not there, so half of one is never taken for one.
                (self.releases / name / MARK).unlink()
                remove(self.releases / name)


def in_use(releases):
    """The releases that programs run from."""
    found = set()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if process.name.isdigit():
                program = (process / "exe").readlink()
                found.add(program.relative_to(releases).parts[0])
    return found


@contextlib.contextmanager
def locked(root, seconds, check):
    """Hold the folder's lock, so that two runs at once take turns."""
    if not check:
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif not root.exists():
        yield
        return
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Trouble("another run works here", "wait for it, then run again") from None
                time.sleep(0.2)
        yield
    finally:
        os.close(handle)


def room(root, unpacked):
    """Refuse what can't fit: the files once unpacked, and the environments beside them."""
    needed, free = 2 * unpacked, shutil.disk_usage(root).free
    if free < needed:
        raise Trouble(
            f"{root} has room for {free >> 20} MB, and this needs {needed >> 20} MB",
            "free the room or lower release_keep, then run again",
        )
