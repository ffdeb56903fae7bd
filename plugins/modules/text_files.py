#!/usr/bin/python
"""Several small files in one step: a template for each would cost a second each."""

import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import safe_files

MOST_BYTES = 16 << 20

DOCUMENTATION = """
module: text_files
short_description: Writes text files, for their owner alone unless a mode says otherwise
description:
  - Folders that are missing are made 0700; each file is replaced in one step.
  - The difference is shown, so a task that writes secrets sets C(no_log) and C(diff: false).
  - Nothing is written through a link or into a folder that another account put in the way.
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
    params, check = module.params, module.check_mode
    changed, diff = [], []
    try:
        owner, mode = account(params["owner"], check), int(params["mode"], 8)
        changed += [name for name in params["folders"] if make_folder(name, owner, check)]
        for name, text in sorted(params["files"].items()):
            before = current(name, owner, mode)
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
                if not check:
                    parent, last = safe_files.parts(name)
                    with safe_files.folder(parent, make=owner) as holder:
                        safe_files.replace(holder, last, text.encode(), owner, mode)
    except (OSError, KeyError, ValueError) as error:
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


def make_folder(name, owner, check):
    """Make the folder and those above it that are missing; tell whether it was missing."""
    try:
        with safe_files.folder(name):
            return False
    except FileNotFoundError:
        if not check:
            with safe_files.folder(name, make=owner):
                pass
        return True


def current(name, owner, mode):
    """The text of a file that is as it has to be but for its text; None for any other."""
    parent, last = safe_files.parts(name)
    try:
        with safe_files.folder(parent) as holder:
            descriptor = safe_files.open_regular(holder, last, name)
    except FileNotFoundError:
        return None
    except safe_files.Unsafe:
        # What is in the file's own place is replaced; what is on the way to it is refused.
        with safe_files.folder(parent):
            return None
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if (state.st_uid, state.st_gid, state.st_mode & 0o777) != (*owner, mode):
            return None
        return file.read(MOST_BYTES).decode(errors="replace")


if __name__ == "__main__":
    main()
