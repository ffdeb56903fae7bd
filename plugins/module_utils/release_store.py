"""The releases of a host: side by side in a folder, one of them current."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from .release_files import ModuleError, digest, point, remove, write
from .release_sums import LISTING, differences, text_of
from .release_unpack import environments, unpack

MARK = ".installed.json"
LOCK = ".lock"
STALE = 86400  # seconds after which nobody comes back for an archive


class Store:
    """The releases of a host; in check mode it changes nothing and reports what it would do."""

    def __init__(self, root, check):
        self.root, self.check = root, check
        self.releases = root / "releases"
        self.changes, self.removed = [], []
        self.step = "reading the installed releases"
        self.current, self.previous = self._linked("current"), self._linked("previous")
        # The one installed last comes first.
        self.installed = sorted(filter(self.mark, self._names()), key=self._age)

    def mark(self, name):
        """What the mark of a release says; None where the release is not there as a whole."""
        try:
            return json.loads((self.releases / name / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def install(self, name, description, archive, uploaded):
        """Install a release unless it is there; False where the archive is needed for that.

        `uploaded` tells that the archive has just come, so it is the right one or an error.
        """
        home = self.releases / name
        mark = self.mark(name)
        if description["id"] != name:
            if mark:
                return True
            raise ModuleError(
                f"its archive is not known: the given file describes {description['id']}",
                "set release_file to the description of this release",
            )
        if mark:
            self._refuse_other_content(mark, description)
            if uploaded and archive.exists():
                archive.unlink()  # another run installed it while this one uploaded it again
            return True
        if str(home) != description["path"]:
            raise ModuleError(f"it works in {description['path']} only", "do not set release_root")
        there = archive.exists() and self._is_right(archive, description, uploaded)
        self._leave_room(description, there)
        if not (there or self.check):
            return False
        self.changes.append(f"+{home} installed")
        if not self.check:
            self._install(home, archive, description)
        self.installed.insert(0, name)
        return True

    def activate(self, name, back=False):
        """Let `current` point to an installed release, and `previous` to the one it pointed to.

        To go back lets both point to it: whoever comes next sees that there is nothing before it.
        """
        self.step = "making it current"
        if name not in self.installed:
            raise ModuleError("it is not installed", "install it first (playbooks/deploy.yml)")
        before, was = self.current, self.previous
        if before == name and (not back or was == name):
            return
        self.verify(name)
        previous = name if back else before
        for link, old, new in (("previous", was, previous), ("current", before, name)):
            if new and new != old:
                self.changes += [f"-{link} -> releases/{old}"] if old else []
                self.changes.append(f"+{link} -> releases/{new}")
                self._point(link, new)
        self.current, self.previous = name, previous

    def prune(self, keep):
        """Remove the oldest releases beyond `keep`, and what interrupted runs left."""
        self.step = "removing old releases"
        needed = {self.current, self.previous, *in_use(self.releases)} & set(self.installed)
        spare = [name for name in self.installed if name not in needed]
        self.removed = spare[max(keep - len(needed), 0) :]
        # The lock is held, so what has no mark is nobody's work.
        halves = sorted(set(self._names()) - set(self.installed))
        for name in [*self.removed, *halves]:
            self.changes.append(f"-{self.releases / name}")
            if not self.check:
                # Without its mark a release is not there, so half of one is never taken for one.
                with contextlib.suppress(OSError):
                    (self.releases / name / MARK).unlink()
                remove(self.releases / name)
        for archive in self.root.glob("*.tar.gz"):
            if time.time() - archive.stat().st_mtime > STALE:
                self.changes.append(f"-{archive}")
                if not self.check:
                    archive.unlink()

    def verify(self, name):
        """Compare an installed release, the current one without a name, with what was installed."""
        self.step = "verifying its files"
        name = name or self.current
        mark = self.mark(name) if name else None
        if not mark:
            if self.check and name in self.installed:
                return  # a rehearsal has not installed it
            raise ModuleError("it is not installed", "install it first (playbooks/deploy.yml)")
        home = self.releases / name
        if "installed_sha256" in mark:
            wrong = differences(home, mark["installed_sha256"], MARK)
        else:
            wrong = _unlike_manifest(home, mark["manifest_sha256"])
        if wrong:
            raise ModuleError(
                f"{len(wrong)} entries of {home} are not as they were installed, "
                f"the first: {wrong[0]}",
                f"find out who changed it; remove {home / MARK} and deploy again to repair it",
            )

    def _install(self, home, archive, description):
        beside = home.with_name(f".{home.name}.new")
        try:
            self.step = "unpacking"
            remove(home)  # what an interrupted run left
            remove(beside)
            digest_of_manifest = description["manifest_sha256"]
            manifest = unpack(archive, beside, digest_of_manifest, description["unpacked_bytes"])
            beside.rename(home)
            self.step = "making the environments"
            environments(home, manifest)
            self.step = "writing the mark"
            listing = text_of(home)
            write(home / LISTING, listing)
            mark = {**description, "installed_sha256": hashlib.sha256(listing.encode()).hexdigest()}
            os.sync()  # a host that loses power now has the whole release or no mark
            write(home / MARK, json.dumps(mark, indent=2, sort_keys=True) + "\n")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                remove(beside)
                remove(home)
            raise
        archive.unlink()

    def _refuse_other_content(self, mark, description):
        if mark["manifest_sha256"] != description["manifest_sha256"]:
            raise ModuleError(
                "this host has other files under that release's name",
                "deploy the archive that was installed here, or change the version and build",
            )

    def _is_right(self, archive, description, uploaded):
        self.step = "verifying the archive"
        found = digest(archive)
        if found == description["sha256"]:
            return True
        if not self.check:
            archive.unlink()
        if uploaded:
            raise ModuleError(
                f"the archive's SHA-256 is {found}, the build's is {description['sha256']}",
                "build the release again (make release), or get it again from where it came",
            )
        return False  # a part of one, or an old one: it has to be uploaded

    def _leave_room(self, description, there):
        """Refuse what can't fit: the archive, its files, and the environments made from them."""
        self.step = "checking the free space"
        folder = next(path for path in (self.root, *self.root.parents) if path.exists())
        needed = 2 * description["unpacked_bytes"] + (0 if there else description["bytes"])
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise ModuleError(
                f"{folder} has room for {free >> 20} MB, and this needs {needed >> 20} MB",
                "free the room or lower release_keep, then run again",
            )

    def _names(self):
        return [path.name for path in self.releases.iterdir()] if self.releases.is_dir() else []

    def _linked(self, link):
        try:
            return (self.root / link).readlink().name
        except OSError:
            return None

    def _point(self, link, name):
        if not self.check:
            point(self.root / link, f"releases/{name}")

    def _age(self, name):
        return -(self.releases / name / MARK).stat().st_mtime


def _unlike_manifest(home, digest_of_manifest):
    """What of a release from before there were sums of all is not as its manifest says."""
    listing = home / "manifest.json"
    if not is_file(listing, digest_of_manifest):
        return ["manifest.json was changed"]
    files = json.loads(listing.read_text(encoding="utf-8"))["files"]
    return [
        f"{name} was changed"
        for name, sha256 in sorted(files.items())
        # What only the making of the environments needed is gone.
        if not name.startswith("install/") and not is_file(home / name, sha256)
    ]


def is_file(path, sha256):
    """Whether there is such a file with this SHA-256."""
    return path.is_file() and not path.is_symlink() and digest(path) == sha256


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
    """Hold the folder's lock, so that two runs at once take turns.

    It is a file that nobody else may open: whoever may open a folder may lock it, and the releases
    are open to all. A rehearsal makes none; where there is none it has nobody to wait for.
    """
    if not check:
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if check else os.O_CREAT)
        handle = os.open(root / LOCK, flags, 0o600)
    except (FileNotFoundError, PermissionError):
        if not check:
            raise
        yield
        return
    try:
        until = time.monotonic() + seconds
        while not _is_locked(handle):
            if time.monotonic() > until:
                raise ModuleError(
                    f"for {seconds} s another run has been working on the releases in {root}",
                    "wait until it is done, then run again",
                )
            time.sleep(0.2)
        yield
    finally:
        os.close(handle)


def _is_locked(handle):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
