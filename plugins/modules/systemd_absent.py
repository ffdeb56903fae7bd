#!/usr/bin/python
"""Stops and disables programs that are no longer defined, and removes their secrets."""

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: systemd_absent
short_description: Stops and removes the programs of a deployment that are no longer defined
description:
  - A program of the deployment that is not among those C(defined) is stopped and disabled, the last
    started first. Its unit, its credentials and its other files are removed; its data stays.
  - A unit that the deployment has not written is left alone, with the files of its program.
options:
  defined: {description: Programs that stay, by name, type: list, elements: str, required: true}
  folder: {description: Folder of the credentials, type: str, required: true}
  files: {description: Further files by program, secrets and configuration, type: dict, default: {}}
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
RETURN = """
leaving: {description: Programs that were or would be removed, type: list, returned: always}
"""

UNITS = Path("/etc/systemd/system")
PREFIX = "workflow-backend-"
WRITTEN = "# Written by the deployment."
STOPPED = ("snapshot", "api", "processor", "projector", "handlers", "cometbft", "abci", "postgres")
"""The programs of a deployment, in the order in which they stop."""


def main():
    """Remove what is no longer defined."""
    module = AnsibleModule(
        argument_spec={
            "defined": {"type": "list", "elements": "str", "required": True},
            "folder": {"type": "str", "required": True},
            "files": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except OSError as error:
        module.fail_json(msg=str(error))


def run(module):
    """Do it, or in check mode only look."""
    folder = Path(module.params["folder"])
    gone = [name for name in STOPPED if name not in module.params["defined"]]
    units = {name: units_of(name) for name in gone}
    left = {name: files_of(name, folder, module.params["files"]) for name in gone}
    leaving = [name for name in gone if units[name] or left[name]]
    if leaving and not module.check_mode:
        ours = [unit.name for name in leaving for unit in units[name]]
        for unit in ours:  # one after the other: each has drained before what it needs stops
            module.run_command(["systemctl", "disable", "--now", "--quiet", unit], check_rc=True)
        for path in [path for name in leaving for path in (*units[name], *left[name])]:
            remove(path)
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        if ours:
            module.run_command(["systemctl", "reset-failed", *ours])  # there may be no failure
    module.exit_json(changed=bool(leaving), leaving=leaving)


def units_of(name):
    """The unit files of a program that the deployment has written, a timer first."""
    return [path for path in units_named(name) if first_line(path) == WRITTEN]


def units_named(name):
    """The unit files that there are by a program's name, whoever wrote them."""
    found = [UNITS / f"{PREFIX}{name}.{kind}" for kind in ("timer", "service")]
    return [path for path in found if path.is_file()]


def first_line(path):
    """The first line of a file."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(200).rstrip("\n")


def files_of(name, folder, files):
    """What else of a program is on the host, without its data.

    Where somebody else wrote its unit, the files may be theirs, too.
    """
    if units_named(name) != units_of(name):
        return []
    paths = [folder / name, *map(Path, files.get(name, []))]
    return [path for path in paths if path.exists() or path.is_symlink()]


def remove(path):
    """Remove a file, or a folder that root alone may write to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    main()
