"""What installing a release needs: its errors, and files and links that are never half."""

import contextlib
import errno
import hashlib
import os
import shutil

CHUNK = 1 << 20


class ModuleError(Exception):
    """What is wrong and what a person does about it."""

    def __init__(self, what, remedy):
        super().__init__(f"{what}: do this: {remedy}")


def explained(error):
    """An error in words."""
    if not isinstance(error, OSError):
        return str(error)
    remedy = "fix that"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free 500 MB or lower release_keep"
    elif error.errno in (errno.EACCES, errno.EPERM):
        remedy = "become root (ansible_become)"
    return f"{error}: do this: {remedy}, then run again"


def point(link, target):
    """Let a link point elsewhere in one step."""
    fresh = link.with_name(f".{link.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(target)
    fresh.replace(link)


def write(path, text):
    """Write a file that is there as a whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def digest(path):
    """SHA-256 of a file, in hex."""
    sum_of = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            sum_of.update(chunk)
    return sum_of.hexdigest()


def remove(path):
    """Remove a folder, or nothing where there is none."""
    if path.is_dir():
        shutil.rmtree(path)
