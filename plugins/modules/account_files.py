#!/usr/bin/python
"""Files out of a folder that an account may write, where root can fetch them without a link."""

import contextlib
import errno
import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import safe_files

DOCUMENTATION = """
module: account_files
short_description: Brings plain files of an account into a folder of root's own
description:
  - A file is taken only where it is a plain one that belongs to the account. It is a link to the
    same content where both folders are on one file system, else a copy.
  - Files that are there already under these names are replaced.
  - An account may put there whatever it likes, so all files together have a limit.
options:
  folder: {description: The account's folder, type: path, required: true}
  names:
    description: Names of files in it, nothing that leads elsewhere
    type: list
    elements: str
    required: true
  account: {description: The account, type: str, required: true}
  most_bytes: {description: Bytes that all files may have together, type: int, required: true}
  destination:
    description: Folder of root's, made 0700 where it is missing
    type: path
    required: true
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
RETURN = """
files: {description: Paths in the destination, type: list, returned: always}
"""


def main():
    """Take them."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "account": {"type": "str", "required": True},
            "most_bytes": {"type": "int", "required": True},
            "destination": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if not module.check_mode:
            take(**params)
    except (OSError, KeyError) as error:
        module.fail_json(msg=str(error))
    files = [f"{params['destination']}/{name}" for name in params["names"]]
    module.exit_json(changed=True, files=files)


def take(folder, names, account, destination, most_bytes):
    """Bring the files of an account from one folder into another."""
    owner = pwd.getpwnam(account).pw_uid
    if wrong := [name for name in names if "/" in name or name in ("", ".", "..")]:
        raise safe_files.Unsafe(errno.EINVAL, "this is not the name of a file", wrong[0])
    root = (os.geteuid(), os.getegid())
    with safe_files.folder(folder) as here, safe_files.folder(destination, make=root) as there:
        if os.fstat(there).st_uid != os.geteuid():
            raise safe_files.Unsafe(
                errno.EPERM, "the folder belongs to another account", destination
            )
        for name in names:
            path = f"{folder}/{name}"
            most_bytes -= _take(here, there, name, owner, path=path, most_bytes=most_bytes)


def _take(here, there, name, owner, *, path, most_bytes):
    """Bring one file; return its size."""
    descriptor = safe_files.open_regular(here, name, path)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid != owner:
            raise safe_files.Unsafe(errno.EPERM, "the file belongs to another account", path)
        size = os.fstat(descriptor).st_size
        if size > most_bytes:
            reason = f"the file has {size} bytes, at most {most_bytes} are allowed"
            raise safe_files.Unsafe(errno.EFBIG, reason, path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=there)
        try:
            os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=there, follow_symlinks=True)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOENT):
                raise
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=there), "wb") as copy:
                _copy(file, copy, size)
        return size


def _copy(source, target, size):
    """Copy what the file had when it was measured: its account may go on writing to it."""
    while size and (chunk := source.read(min(size, 1 << 20))):
        target.write(chunk)
        size -= len(chunk)


if __name__ == "__main__":
    main()
