#!/usr/bin/python
"""Several small files in one step: a template for each would cost a second each."""

import os
import pwd
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: text_files
short_description: Writes text files, for their owner alone unless a mode says otherwise
description:
  - Folders that are missing are made 0700; each file is replaced in one step.
  - The difference is shown, so a task that writes secrets sets C(no_log) and C(diff: false).
options:
  files: {description: The text of each file by its absolute path, type: dict, required: true}
  folders: {description: Folders to be there as well, type: list, elements: str, default: []}
  owner: {description: The account that owns them; the one that writes them without this, type: str}
  mode: {description: The mode of the files, type: str, default: "0600"}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The authors of this toolkit
"""
RETURN = """
changed_files: {description: Paths that were or would be changed, type: list, returned: always}
"""


def main():
    """Bring every file to its text, mode and owner."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "folders": {"type": "list", "elements": "str", "default": []},
            "owner": {"type": "str"},
            "mode": {"type": "str", "default": "0600"},
        },
        supports_check_mode=True,
    )
    changed, diff = [], []
    mode = int(module.params["mode"], 8)
    try:
        owner = account(module.params["owner"], module.check_mode)
        folders = [Path(folder) for folder in module.params["folders"]]
        changed += [str(f) for f in folders if make_folder(f, owner, module.check_mode)]
        for name, text in sorted(module.params["files"].items()):
            path = Path(name)
            before = current(path, owner, mode)
            if before != text:
                changed.append(name)
                diff.append(
                    {
                        "before": before or "",
                        "after": text,
                        "before_header": name,
                        "after_header": name,
                    }
                )
                if not module.check_mode:
                    make_folder(path.parent, owner, False)
                    replace(path, text, owner, mode)
    except (OSError, KeyError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changed), changed_files=changed, diff=diff)


def account(name, check):
    """User and group id of an account; a rehearsal may come before the account is made."""
    if name is None:
        return (os.geteuid(), os.getegid())
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        if check:
            return (-1, -1)
        raise
    return (found.pw_uid, found.pw_gid)


def make_folder(path, owner, check):
    """Make the folder and those above it that are missing; tell whether it was missing."""
    if path.is_dir():
        return False
    if not check:
        make_folder(path.parent, owner, False)
        path.mkdir(0o700)
        os.chown(path, *owner)
    return True


def current(path, owner, mode):
    """The text of a file that is as it has to be but for its text; None for any other."""
    try:
        with path.open(encoding="utf-8") as file:
            state = os.fstat(file.fileno())
            return (
                file.read()
                if (state.st_uid, state.st_gid, state.st_mode & 0o777) == (*owner, mode)
                else None
            )
    except FileNotFoundError:
        return None


def replace(path, text, owner, mode):
    """Put a new file in the place of the old one."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(beside).rename(path)
    except BaseException:
        Path(beside).unlink()
        raise


if __name__ == "__main__":
    main()
