"""Files that root changes in folders which other accounts may write: through descriptors alone.

A path is a promise that whoever owns a folder on the way can break between two calls, with a link
or another folder in its place. So each folder is opened from the one above it, and stays what it
was however the names change. Root follows a link only where nobody else could have put it there.
"""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_LINKS = 32


class Unsafe(OSError):
    """Something lies where a folder or a file has to be, and another account may have put it."""


@contextlib.contextmanager
def folder(path, make=None):
    """Give a descriptor of a folder by its absolute path; it is closed at the end.

    `make` is the (uid, gid) of the folders that are missing, which are made 0700; without it a
    missing folder raises FileNotFoundError. Raises `Unsafe` for a link that is not followed.
    """
    names = _names(path)
    links = _MOST_LINKS
    above = [os.open("/", _DIRECTORY)]
    try:
        while names:
            name = names.pop(0)
            if name == "..":
                if len(above) > 1:
                    os.close(above.pop())
                continue
            target = _trusted_link(above[-1], name, path)
            if target is not None:
                links -= 1
                if links < 0:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                if target.startswith("/"):
                    while len(above) > 1:
                        os.close(above.pop())
                names = _names(target, relative=True) + names
                continue
            above.append(_enter(above[-1], name, path, make))
        yield above[-1]
    finally:
        for descriptor in above:
            os.close(descriptor)


def _names(path, relative=False):
    text = str(path)
    if not relative and not text.startswith("/"):
        raise Unsafe(errno.EINVAL, "the path has to be absolute", text)
    return [part for part in text.split("/") if part not in ("", ".")]


def _trusted_link(holder, name, path):
    """Where a link leads that may be followed; None for what is not a link."""
    try:
        state = os.stat(name, dir_fd=holder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(state.st_mode):
        return None
    place = os.fstat(holder)
    # Who is not root risks by a link no more than it may do anyway.
    if os.geteuid() == 0 and (place.st_uid or state.st_uid or _is_shared(place)):
        raise Unsafe(errno.ELOOP, f"{name} is a link that another account may have made", str(path))
    return os.readlink(name, dir_fd=holder)


def _is_shared(place):
    """Whether others than root may move names in a folder of root's; in a sticky one they can't."""
    by_group = place.st_mode & stat.S_IWGRP and place.st_gid != 0
    return (by_group or place.st_mode & stat.S_IWOTH) and not place.st_mode & stat.S_ISVTX


def _enter(holder, name, path, make):
    try:
        return os.open(name, _DIRECTORY, dir_fd=holder)
    except FileNotFoundError:
        if make is None:
            raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Unsafe(error.errno, f"{name} is not a folder", str(path)) from None
        raise
    with contextlib.suppress(FileExistsError):  # somebody else was first: it is opened like any
        os.mkdir(name, 0o700, dir_fd=holder)
    made = os.open(name, _DIRECTORY, dir_fd=holder)
    # Of another account's it stays what it is: only what this made is given away. Who owns the
    # folder above may have put another one of root's in its place, with what is in it.
    if os.fstat(made).st_uid == os.geteuid() and not os.listdir(made):  # noqa: PTH208
        os.fchown(made, *make)
    return made


def open_regular(holder, name, path):
    """Give a descriptor of a plain file in a folder; raises `Unsafe` for anything else."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=holder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Unsafe(error.errno, f"{name} is not a regular file", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unsafe(errno.EINVAL, f"{name} is not a regular file", str(path))
    return descriptor


@contextlib.contextmanager
def reading(path):
    """Give a plain file to read, by its absolute path; raises OSError for all else."""
    parent, last = parts(path)
    with folder(parent) as holder:
        descriptor = open_regular(holder, last, path)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def replace(holder, name, content, owner, mode):
    """Put a new file in the place of what has that name; a link there goes, and is not followed."""
    beside = f".{name[:200]}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(beside, flags, 0o600, dir_fd=holder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.rename(beside, name, src_dir_fd=holder, dst_dir_fd=holder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=holder)
        raise


def parts(path):
    """The folder of a path and its last name."""
    whole = Path(path)
    if whole.name in ("", "..", "."):
        raise Unsafe(errno.EINVAL, "the path names no file", str(path))
    return whole.parent, whole.name
