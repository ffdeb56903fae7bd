#!/usr/bin/python
"""Files out of a folder that an account may write, where root can fetch them without a link."""

import contextlib
import errno
import os
import pwd
import shutil

from ansible.module_utils import safe_files
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: account_files
short_description: Brings plain files of an account into a folder of root's own
description:
  - A file is taken only where it is a plain one that belongs to the account. It is a link to the
    same content where both folders are on one file system, else a copy.
  - Files that are there already under these names are replaced.
options:
  folder: {description: The account's folder, type: path, required: true}
  names:
    description: Names of files in it, nothing that leads elsewhere
    type: list
    elements: str
    required: true
  account: {description: The account, type: str, required: true}
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
            "destination": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if not module.check_mode:
            take(params["folder"], params["names"], params["account"], params["destination"])
    except (OSError, KeyError) as error:
        module.fail_json(msg=str(error))
    files = [f"{params['destination']}/{name}" for name in params["names"]]
    module.exit_json(changed=True, files=files)


def take(source, names, account, destination):
    """Bring the files of an account from one folder into another."""
    owner = pwd.getpwnam(account).pw_uid
    if wrong := [name for name in names if "/" in name or name in ("", ".", "..")]:
        raise safe_files.Unsafe(errno.EINVAL, "this is no name of a file", wrong[0])
    root = (os.geteuid(), os.getegid())
    with safe_files.folder(source) as here, safe_files.folder(destination, make=root) as there:
        if os.fstat(there).st_uid != os.geteuid():
            raise safe_files.Unsafe(
                errno.EPERM, "the folder belongs to another account", destination
            )
        for name in names:
            _take(here, there, name, owner, f"{source}/{name}")


def _take(here, there, name, owner, path):
    descriptor = safe_files.open_regular(here, name, path)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid != owner:
            raise safe_files.Unsafe(errno.EPERM, "the file belongs to another account", path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=there)
        try:
            os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=there, follow_symlinks=True)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOENT):
                raise
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=there), "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)


if __name__ == "__main__":
    main()
