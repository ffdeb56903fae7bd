#!/usr/bin/python
"""Programs as systemd units: defined, and running as they are defined."""

import hashlib
import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import program_log

DOCUMENTATION = """
module: systemd_programs
short_description: Programs run as systemd units as they are defined
description:
  - Writes each unit and its credentials, starts those that do not run and restarts those that run
    as something else than what is defined, in the order given. What an interrupted run left undone,
    the next one does.
  - Our settings that systemd itself was given by a shell are taken from it, and what was started
    with one that its unit does not give it is started anew.
  - Each process carries a digest of its definition, credentials and revision in its environment.
    The digest is keyed with a secret of the host, so that it tells nothing of the credentials.
options:
  units:
    description:
      - Text of each unit by its name. C(@REVISION@) in it becomes the digest.
      - A line after C(@SINCE 254@) is for that version of systemd and later ones.
    type: dict
    required: true
  credentials: {description: Secrets by unit and name, type: dict, default: {}}
  revisions:
    description: Text by unit that changes when it has to be restarted with the same definition
    type: dict
    default: {}
  folder: {description: Folder of the credentials, type: str, required: true}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The authors of this toolkit
"""
RETURN = """
started:
  description: Units that did not run and were or would be started
  type: list
  returned: always
restarted:
  description: Units that ran and were or would be restarted
  type: list
  returned: always
"""

UNITS = Path("/etc/systemd/system")
SETTINGS = "XIAN_"


def main():
    """Define the programs and see to it that they run so."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "credentials": {"type": "dict", "default": {}, "no_log": True},
            "revisions": {"type": "dict", "default": {}},
            "folder": {"type": "str", "required": True},
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
    texts, revisions = define(module, key_of(folder, module.check_mode))
    changed = write_credentials(module, folder)
    diff = write_units(module, texts)
    outdated = bool(diff) or needs_reload(module, texts)
    if outdated and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    strays = settings_of_the_manager(module)
    if strays and not module.check_mode:
        module.run_command(["systemctl", "unset-environment", *strays], check_rc=True)
    running = {unit: running_revision(module, unit) for unit in texts}
    stale = [unit for unit in texts if running[unit] != revisions[unit]]
    idle = [unit for unit in texts if not (UNITS / "multi-user.target.wants" / unit).is_symlink()]
    if not module.check_mode:
        if idle:
            module.run_command(["systemctl", "enable", "--quiet", *idle], check_rc=True)
        if to_stop := [unit for unit in stale if running[unit] is not None]:
            # The last one first: systemd begins with each as soon as it is named, and lets it wait
            # only for those named before.
            module.run_command(["systemctl", "stop", *reversed(to_stop)], check_rc=True)
        for unit in stale:
            start(module, unit)
    module.exit_json(
        changed=bool(changed or outdated or strays or stale or idle),
        started=[unit for unit in stale if running[unit] is None],
        restarted=[unit for unit in stale if running[unit] is not None],
        diff=diff,
    )


def key_of(folder, check):
    """The host's secret that digests are keyed with, made where it is missing."""
    path = folder / "revision.key"
    if not path.exists():
        if check:
            return b""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(path, secrets.token_hex(32), 0o600)
    return path.read_bytes()


def define(module, key):
    """The whole text of each unit, and its digest."""
    texts, revisions = {}, {}
    version = systemd_version(module)
    for unit, given in module.params["units"].items():
        text = re.sub(
            r"(?m)^@SINCE (\d+)@(.*\n)",
            lambda line: line[2] if int(line[1]) <= version else "",
            given,
        )
        secret = module.params["credentials"].get(unit, {})
        parts = [text, module.params["revisions"].get(unit, ""), *map(str, sorted(secret.items()))]
        revisions[unit] = hmac.new(key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()
        texts[unit] = text.replace("@REVISION@", revisions[unit])
    return texts, revisions


def systemd_version(module):
    """The version of the host's systemd."""
    _, out, _ = module.run_command(["systemctl", "--version"], check_rc=True)
    return int(out.split()[1].split(".")[0])


def write_units(module, texts):
    """Write the units that are not as they have to be; give the differences."""
    diff = []
    for unit, text in texts.items():
        path = UNITS / unit
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before == text:
            continue
        diff.append({"before": before, "after": text, "before_header": unit, "after_header": unit})
        if not module.check_mode:
            write(path, text, 0o644)
    return diff


def needs_reload(module, units):
    """Tell whether systemd still has an earlier definition, of a run that was cut short."""
    command = ["systemctl", "show", "--property=NeedDaemonReload", "--value", *units]
    _, answer, _ = module.run_command(command, check_rc=True)
    return "yes" in answer.split()


def write_credentials(module, folder):
    """Write the secrets, root's alone; tell whether one was another."""
    changed = False
    for unit, secret in module.params["credentials"].items():
        place = folder / unit.removesuffix(".service").removeprefix("workflow-backend-")
        for name, text in secret.items():
            path = place / name
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            changed = True
            if not module.check_mode:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
                write(path, text, 0o600)
    return changed


def settings_of_the_manager(module):
    """Names of our settings that systemd itself has and gives to all that it starts.

    They come from a shell, by `systemctl import-environment` or `set-environment`.
    """
    _, shown, _ = module.run_command(["systemctl", "show-environment"], check_rc=True)
    return sorted(set(re.findall(rf"(?m)^({SETTINGS}\w*)=", shown)))


def running_revision(module, unit):
    """The digest that the unit's process was started with, "" where it tells none.

    It tells none where the process has one of our settings that its definition does not give it.
    None where the unit does not run at all.
    """
    _, state, _ = module.run_command(
        ["systemctl", "show", "--property=ActiveState,MainPID,Environment", unit], check_rc=True
    )
    facts = dict(line.split("=", 1) for line in state.splitlines() if "=" in line)
    if facts.get("ActiveState") in ("inactive", "failed"):
        return None
    try:
        environment = Path(f"/proc/{facts['MainPID']}/environ").read_bytes()
    except OSError:
        return ""
    defined = facts.get("Environment", "")
    entries = (entry.partition("=") for entry in os.fsdecode(environment).split("\0"))
    found = {name: value for name, _, value in entries}
    if any(name.startswith(SETTINGS) and f"{name}=" not in defined for name in found):
        return ""
    return found.get("WORKFLOW_REVISION", "")


def start(module, unit):
    """Start a unit and wait until it is ready; fail with its last words where it is not."""
    module.run_command(["systemctl", "reset-failed", unit])  # an old failure says nothing of now
    status, _, reason = module.run_command(["systemctl", "start", unit])
    if status != 0:
        words = program_log.of_unit(module.run_command, unit) or "none"
        why = next(iter(reason.strip().splitlines()), "")
        module.fail_json(msg=f"{unit} does not start. Its last words: {words} ({why})")


def write(path, text, mode):
    """Put a new file in the place of the old one."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(beside).rename(path)
    except BaseException:
        Path(beside).unlink()
        raise


if __name__ == "__main__":
    main()
