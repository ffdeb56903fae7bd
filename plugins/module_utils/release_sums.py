"""What an installed release is: every file with its sum, every link, every folder, nothing else."""

import hashlib
import json
import os
import stat

from .release_files import digest

LISTING = ".installed.files.json"
_LARGEST = 64 << 20  # bytes of a listing at most; that of 20,000 files has 3 MB


def text_of(home):
    """The listing of all that is in the folder, as a text."""
    found, _ = _walk(home, set())
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def differences(home, digest_of_listing, mark):
    """What differs from the listing, each in words; `mark` is the file that came after it."""
    try:
        descriptor = os.open(home / LISTING, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError:
        return [f"{LISTING} is missing"]
    if hashlib.sha256(text).hexdigest() != digest_of_listing:
        return [f"{LISTING} was changed"]
    installed = json.loads(text)
    found, open_to = _walk(home, {LISTING, mark})
    changed = [
        f"{name} {_difference(name, installed, found)}"
        for name in sorted({*installed, *found})
        if installed.get(name) != found.get(name)
    ]
    return changed + [f"{name} can be changed by {who}" for name, who in open_to]


def _difference(name, installed, found):
    if name not in found:
        return "is missing"
    return "was changed" if name in installed else "was added"


def _walk(home, without):
    """Each entry below the folder with what it is, of a file its sum; no link is followed.

    Also the entries that an account other than the folder's owner could change, and which one.
    """
    found, open_to, folders, owner = {}, [], [home], home.stat().st_uid
    while folders:
        for path in folders.pop().iterdir():
            name = str(path.relative_to(home))
            if name in without:
                continue
            state = path.lstat()
            found[name] = _kind(path, state.st_mode)
            if found[name] == "folder":
                folders.append(path)
            if state.st_uid != owner:
                open_to.append((name, f"account {state.st_uid}"))
            elif state.st_mode & 0o022 and not stat.S_ISLNK(state.st_mode):
                open_to.append((name, "others"))
    return found, sorted(open_to)


def _kind(path, mode):
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(mode):
        return f"{'program' if mode & 0o111 else 'file'} {digest(path)}"
    return "neither file, link nor folder"
