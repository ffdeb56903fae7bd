#!/usr/bin/python
"""Releases on a host: unpacked side by side, one of them current, the oldest removed."""

import os
import platform
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.release_files import ModuleError, explained
from ..module_utils.release_store import Store, locked

DOCUMENTATION = """
module: host_release
short_description: Installs a release, makes it the current one, removes old ones
description:
  - An archive is verified before it is unpacked, each file of it while it is written.
  - What is installed is listed with its sums and compared with that before it becomes current, and
    by C(verify).
  - A release counts as installed once its mark is written, the last step.
  - What was interrupted starts over.
  - C(back) activates an earlier release again; afterwards it has no previous one.
  - Where the archive is needed and is not on the host, nothing is done and C(missing) is true.
options:
  root: {description: Folder of the releases and of C(current), type: str, required: true}
  id:
    description: The release; not needed to list or prune releases, and to verify the current one.
    type: str
    default: ""
  steps:
    description: What to do, in this order. Without a step the releases are only listed.
    type: list
    elements: str
    choices: [install, activate, back, prune, verify]
    required: true
  archive: {description: Where the archive is on the host if it is there, type: str}
  uploaded:
    description: Whether the archive has just been uploaded; a wrong one is an error then.
    type: bool
    default: false
  description: {description: What the build says of the release; needed to install, type: dict}
  keep:
    description: How many releases stay; the current and the previous one always do.
    type: int
    default: 3
  wait: {description: Seconds to wait for another run on this host, type: int, default: 60}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The authors of this toolkit
"""
RETURN = """
missing: {description: Whether the archive has to be uploaded first, type: bool, returned: success}
folder: {description: Folder of the release, type: str, returned: success}
current: {description: The current release, type: str, returned: success}
previous: {description: The release that was current before, type: str, returned: success}
releases: {description: The releases that are there, type: list, returned: success}
versions: {description: The versions in each release that is there, type: dict, returned: success}
compatible: {description: What each was declared to agree with, type: dict, returned: success}
removed: {description: Releases that were or would be removed, type: list, returned: success}
"""


def main():
    """Do the steps, and report to Ansible."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "id": {"type": "str", "default": ""},
            "steps": {
                "type": "list",
                "elements": "str",
                "choices": ["install", "activate", "back", "prune", "verify"],
                "required": True,
            },
            "archive": {"type": "str"},
            "uploaded": {"type": "bool", "default": False},
            "description": {"type": "dict"},
            "keep": {"type": "int", "default": 3},
            "wait": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    given = module.params
    root = Path(given["root"])
    store = None
    try:
        with locked(root, given["wait"], module.check_mode):
            store = Store(root, module.check_mode)
            missing = work(store, given)
    except (ModuleError, OSError) as error:
        where = f"release {given['id']} on {platform.node()}"
        step = store.step if store else "waiting for its turn"
        module.fail_json(msg=f"{where}: {step}: {explained(error)}")
    module.exit_json(
        changed=bool(store.changes),
        diff={"prepared": "".join(f"{line}\n" for line in store.changes)},
        missing=missing,
        folder=str(store.releases / given["id"]),
        current=store.current,
        previous=store.previous,
        releases=[name for name in store.installed if name not in store.removed],
        versions=from_marks(store, "versions", {}),
        compatible=from_marks(store, "consensus_compatible_with", []),
        removed=store.removed,
    )


def from_marks(store, field, default):
    """Return a field of each installed release's mark, which the build wrote."""
    return {name: (store.mark(name) or {}).get(field, default) for name in store.installed}


def work(store, given):
    """Do the steps; return whether the archive is missing."""
    if "install" in given["steps"]:
        archive, description = Path(given["archive"]), given["description"]
        if not store.install(given["id"], description, archive, given["uploaded"]):
            return True
    if "activate" in given["steps"]:
        store.activate(given["id"])
    if "back" in given["steps"]:
        store.activate(given["id"], back=True)
    if "prune" in given["steps"]:
        store.prune(given["keep"])
    if "verify" in given["steps"]:
        store.verify(given["id"])
    return False


if __name__ == "__main__":
    main()
