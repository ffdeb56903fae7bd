"""Files that several accounts share by a group: as open as the folder that they lie in.

SQLite gives the files beside its database the database's own mode, so only that one is made here.
"""

import os
from pathlib import Path


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
