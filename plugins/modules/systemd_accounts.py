#!/usr/bin/python
"""The accounts, groups and folders that programs need, by systemd's own two tools for them."""

import grp
import os
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: systemd_accounts
short_description: Accounts, groups and folders of programs
description:
  - Writes a file for systemd-sysusers and one for systemd-tmpfiles, which make accounts and
    folders now and at each boot, and runs both where something is missing or not as it has to be.
options:
  name: {description: Name of the two files, type: str, required: true}
  accounts:
    description: System accounts, each with a group of its name and further groups.
    type: list
    elements: dict
    default: []
    options:
      name: {type: str, required: true, description: Name of the account}
      groups: {type: list, elements: str, default: [], description: Further groups}
      home: {type: str, default: /, description: Home}
  folders:
    description: Folders, a parent before what is in it.
    type: list
    elements: dict
    default: []
    options:
      path: {type: str, required: true, description: Absolute path}
      owner: {type: str, default: root, description: Account}
      group: {type: str, default: root, description: Group}
      mode: {type: str, default: "0700", description: Octal mode}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The authors of this toolkit
"""
RETURN = """
missing:
  description: Accounts and folders that were or would be made or mended
  type: list
  returned: always
"""

ACCOUNT = {
    "name": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "str", "default": []},
    "home": {"type": "str", "default": "/"},
}
FOLDER = {
    "path": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0700"},
}


def main():
    """Bring accounts and folders about, and say which were missing."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "accounts": {"type": "list", "elements": "dict", "default": [], "options": ACCOUNT},
            "folders": {"type": "list", "elements": "dict", "default": [], "options": FOLDER},
        },
        supports_check_mode=True,
    )
    name, accounts, folders = (module.params[key] for key in ("name", "accounts", "folders"))
    users = Path("/etc/sysusers.d") / f"{name}.conf"
    texts = {
        users: users_text(accounts),
        Path("/etc/tmpfiles.d") / f"{name}.conf": folders_text(folders),
    }
    before = {path: path.read_text() if path.exists() else "" for path in texts}
    diff = [
        {
            "before": before[path],
            "after": text,
            "before_header": str(path),
            "after_header": str(path),
        }
        for path, text in texts.items()
        if before[path] != text
    ]
    taken = [one for one in taken_away(before[users], texts[users]) if is_member(*one)]
    missing = [f"{account} without {group}" for account, group in taken]
    missing += [a["name"] for a in accounts if not account_is_right(a)]
    missing += [f["path"] for f in folders if not folder_is_right(f)]
    if (diff or missing) and not module.check_mode:
        # Before the file that tells of them is replaced: a run that is cut short does it again.
        for account, group in taken:
            module.run_command(["gpasswd", "--delete", account, group], check_rc=True)
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        for command in (
            ["systemd-sysusers", f"{name}.conf"],
            ["systemd-tmpfiles", "--create", f"{name}.conf"],
        ):
            module.run_command(command, check_rc=True)
    module.exit_json(changed=bool(diff or missing), missing=missing, diff=diff)


def users_text(accounts):
    """The lines of sysusers.d."""
    groups = sorted({group for account in accounts for group in account["groups"]})
    lines = ["# Written by the deployment."]
    lines += [f"g {group} -" for group in groups]
    for account in accounts:
        lines.append(f'u {account["name"]} - "Workflow backend" {account["home"]}')
        lines += [f"m {account['name']} {group}" for group in account["groups"]]
    return "\n".join(lines) + "\n"


def taken_away(before, after):
    """The memberships that an earlier deployment gave by its file, and this one does not."""
    return [
        tuple(line.split()[1:])
        for line in before.splitlines()
        if line.startswith("m ") and line not in after.splitlines()
    ]


def is_member(account, group):
    """Tell whether an account is in a group."""
    try:
        return account in grp.getgrnam(group).gr_mem
    except KeyError:
        return False


def folders_text(folders):
    """The lines of tmpfiles.d."""
    lines = ["# Written by the deployment."]
    lines += [f"d {f['path']} {f['mode']} {f['owner']} {f['group']} -" for f in folders]
    return "\n".join(lines) + "\n"


def account_is_right(account):
    """Tell whether account and groups are there and it is a member of them."""
    try:
        pwd.getpwnam(account["name"])
        return all(account["name"] in grp.getgrnam(group).gr_mem for group in account["groups"])
    except KeyError:
        return False


def folder_is_right(folder):
    """Tell whether a folder is there with its owner, group and mode."""
    try:
        state = os.lstat(folder["path"])
        return (state.st_uid, state.st_gid, state.st_mode & 0o7777) == (
            pwd.getpwnam(folder["owner"]).pw_uid,
            grp.getgrnam(folder["group"]).gr_gid,
            int(folder["mode"], 8),
        )
    except (FileNotFoundError, KeyError):
        return False


if __name__ == "__main__":
    main()
