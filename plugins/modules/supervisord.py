#!/usr/bin/python
"""The supervisor of a development machine: it runs, with nothing but what it is given."""

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import safe_files

DOCUMENTATION = """
module: supervisord
short_description: Supervisor runs, with a configuration and an environment of its own
description:
  - Its programs inherit its environment, so it gets none of the settings of the shell that starts
    it.
  - What runs is compared with what should run. A supervisor with another environment, program or
    configuration is asked to end, with its programs in their order, and started anew.
options:
  command: {description: Program by its absolute path, type: str, required: true}
  configuration: {description: Path of its configuration, type: str, required: true}
  as_account:
    description: Words before the command that let it run as another account
    type: list
    elements: str
    default: []
  directory: {description: Working directory, type: str, required: true}
  environment: {description: Environment variables, type: dict, required: true}
  revision: {description: Text that changes when the program is another, type: str, default: ""}
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
RETURN = """
ended: {description: Processes that were or would be ended first, type: list, returned: always}
"""

PROC = Path("/proc")
# PostgreSQL, the app and CometBFT have 60 s each to end in order.
STOP_SECONDS = 200.0
MOST_BYTES = 16 << 20


def main():
    """See to it that it runs as it should."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "str", "required": True},
            "configuration": {"type": "str", "required": True},
            "as_account": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "str", "required": True},
            "environment": {"type": "dict", "required": True},
            "revision": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        expected = environment(module.params)
    except OSError as error:
        module.fail_json(msg=str(error))
    found = running(module.params["configuration"])
    stale = [process for process in found if settings(process) != expected]
    if not module.check_mode:
        end(module, stale)
        if stale == found:
            start(module, expected)
    module.exit_json(changed=stale == found, ended=stale)


def environment(params):
    """Return all that its environment should hold, a digest of what it should be among it."""
    try:
        with safe_files.reading(params["configuration"]) as file:
            configuration = file.read(MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:  # a rehearsal comes before it is written
        configuration = ""
    parts = "\0".join((params["command"], configuration, params["revision"]))
    revision = hashlib.sha256(parts.encode()).hexdigest()
    return {name: str(text) for name, text in params["environment"].items()} | {
        "WORKFLOW_REVISION": revision
    }


def running(configuration):
    """Return the processes that are supervisors with this configuration."""
    end_of_command = b"\0-c\0" + os.fsencode(configuration) + b"\0"
    found = []
    for process in PROC.iterdir():
        try:
            command = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
        except OSError:  # it has just ended
            continue
        if command.endswith(end_of_command) and b"supervisord\0-c\0" in command:
            found.append(int(process.name))
    return sorted(found)


def settings(process):
    """Return the environment that a process was started with; None where it can't be read."""
    try:
        content = (PROC / str(process) / "environ").read_bytes()
    except OSError:
        return None
    entries = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0") if entry)
    return {name: text for name, _, text in entries}


def end(module, processes):
    """Ask processes to end, and wait until they have."""
    for process in processes:
        try:
            os.kill(process, signal.SIGTERM)
        except ProcessLookupError:  # it has ended by itself
            continue
        except PermissionError:
            module.fail_json(
                msg=f"supervisord, process {process}, has to be restarted and belongs to another "
                "account: have that account end it"
            )
    deadline = time.monotonic() + STOP_SECONDS
    while any((PROC / str(process) / "exe").exists() for process in processes):
        if time.monotonic() > deadline:
            module.fail_json(
                msg=f"supervisord, process {processes[0]}, does not end in {STOP_SECONDS:.0f} s: "
                "make dev-down"
            )
        time.sleep(0.1)


def start(module, expected):
    """Start it; it returns once it listens."""
    params = module.params
    command = [*params["as_account"], "env", "-i"]
    command += [f"{name}={text}" for name, text in sorted(expected.items())]
    command += [params["command"], "-c", params["configuration"]]
    try:
        done = subprocess.run(
            command,
            cwd=params["directory"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"supervisord does not start: {error}")
    if done.returncode != 0:
        module.fail_json(msg=f"supervisord does not start: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
