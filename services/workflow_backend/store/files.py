"""Files that several accounts share by a group: as open as the folder that they lie in.

SQLite gives the files beside its database the database's own mode, so only that one is made here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Let root be no more than the folder's owner while the block runs.

    Whoever may write there decides what SQLite opens: by a link that comes after the last look, and
    by journals of crashes that never happened, which name further files. The whole process changes,
    every thread of it, so nothing that needs root may run beside the block.
    """
    try:
        owner = folder.stat()
    except FileNotFoundError:
        owner = None
    if owner is None or owner.st_uid == 0 or os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def make(path: Path) -> None:
    """Make an empty file where there is none, for those to read and write who may in its folder.

    Root makes it for the folder's owner: who keeps a service's data in order by hand must not leave
    behind what the service can't open.
    """
    folder = path.parent.stat()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        os.fchmod(descriptor, 0o600 | folder.st_mode & 0o060)
    finally:
        os.close(descriptor)
