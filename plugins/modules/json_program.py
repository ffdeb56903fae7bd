#!/usr/bin/python
"""Ansible's side of the programs that are asked in JSON and answer in JSON."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

SECONDS = 7200
"""How long a program may take: far longer than any but those that copy a whole state."""

MOST_BYTES = 64 << 20
"""What a program may print on each of its outputs."""

PIPES_SECONDS = 5.0
"""How long the outputs of a program that has ended are read: another one may hold them open."""

DOCUMENTATION = """
module: json_program
short_description: Asks a program of this toolkit in JSON
description:
  - Gives the program one JSON object on standard input, and C(--check) in check mode.
  - A program that is asked by its arguments and environment gets a key there, or nothing.
  - The program answers with one JSON object, or says on standard error why not and exits non-zero.
  - In check mode a program that an earlier task would install has an empty answer and a change.
  - Root does not wait without end, nor read without end, for a program that runs as an account.
  - What the answer calls C(changed) is a list or a truth, and C(diff) a text; both are optional.
options:
  argv: {description: The program and its arguments, type: list, elements: str, required: true}
  request: {description: The JSON object. No secret may be in it, type: dict}
  secrets: {description: What belongs in the request too, and is a secret, type: dict, default: {}}
  key: {description: What is or holds a secret; standard input in place of the request, type: str}
  environment: {description: Environment variables without secrets, type: dict, default: {}}
  seconds: {description: How long it may take before it is killed, type: int, default: 7200}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The authors of this toolkit
"""
RETURN = """
answer: {description: What the program answered, type: dict, returned: success}
"""


def main():
    """Ask, and tell Ansible."""
    module = AnsibleModule(
        argument_spec={
            "argv": {"type": "list", "elements": "str", "required": True},
            "request": {"type": "dict"},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "key": {"type": "str", "no_log": True},
            "environment": {"type": "dict", "default": {}},
            "seconds": {"type": "int", "default": SECONDS},
        },
        mutually_exclusive=[["request", "key"]],
        supports_check_mode=True,
    )
    if module.check_mode and not is_installed(module.params["argv"]):
        module.exit_json(changed=True, answer={})
    request = module.params["request"]
    if request is not None:
        request = {**request, **module.params["secrets"]}
    # On the control machine a module has the environment of the shell that started the playbook.
    for name in [name for name in os.environ if name.startswith("XIAN_")]:
        del os.environ[name]
    argv = module.params["argv"] + (["--check"] if module.check_mode else [])
    environment = {name: str(value) for name, value in module.params["environment"].items()}
    given = module.params["key"] or json.dumps(request)
    try:
        status, out, err = run(argv, given, environment, module.params["seconds"])
    except OSError as error:
        module.fail_json(msg=f"{argv[0]} does not start: {error}")
    except Unbounded as error:
        module.fail_json(msg=f"{' '.join(argv)} {error}, and was killed")
    if status != 0:
        module.fail_json(msg=err.strip() or f"{argv[0]} exited with {status} and printed nothing")
    try:
        answer = json.loads(out)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        module.fail_json(msg=f"{argv[0]} did not answer with a JSON object: {out[:200]!r}")
    module.exit_json(
        changed=bool(answer.get("changed")),
        diff={"prepared": answer.get("diff", "")},
        answer=answer,
    )


def is_installed(argv):
    """Whether every file that the command names is there; a rehearsal may come before it is."""
    programs = [word for word in argv if word.startswith("/") and "/bin/" in word]
    return all(Path(word).exists() for word in programs)


class Unbounded(Exception):
    """The program took or printed more than it may."""


def run(argv, given, environment, seconds):
    """Return status, output and errors of a program; raises Unbounded, or OSError at its start.

    It has a process group of its own, so that nothing of it stays where it is killed.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**without_ansibles_own(os.environ), **environment},
        start_new_session=True,
    )
    readers = [Reader(process.stdout), Reader(process.stderr)]
    threading.Thread(target=feed, args=(process.stdin, given), daemon=True).start()
    deadline = time.monotonic() + seconds
    try:
        while process.poll() is None:
            require_bounds(readers, deadline, seconds)
            readers[0].join(0.05)
            if not readers[0].is_alive():
                time.sleep(0.01)
        for reader in readers:
            reader.join(PIPES_SECONDS)
        require_bounds(readers, deadline + PIPES_SECONDS * len(readers) + 1, seconds)
    except BaseException:
        # Also where the operator interrupts: its group is none of the terminal's. It may be empty.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return process.returncode, *(reader.text() for reader in readers)


def require_bounds(readers, deadline, seconds):
    """Raise Unbounded where the program takes or prints too much."""
    if any(reader.is_full for reader in readers):
        raise Unbounded(f"printed more than {MOST_BYTES} bytes")
    if time.monotonic() > deadline:
        raise Unbounded(f"did not end within {seconds} s")


def without_ansibles_own(environment):
    """Return an environment without the path that Ansible's modules are imported from."""
    own = "/ansible_modlib.zip", "/debug_dir"
    paths = environment.get("PYTHONPATH", "").split(":")
    kept = ":".join(path for path in paths if not path.endswith(own))
    return {**environment, "PYTHONPATH": kept} if kept else _without(environment, "PYTHONPATH")


def _without(environment, name):
    return {key: value for key, value in environment.items() if key != name}


def feed(pipe, given):
    """Give the program its request; it may end without reading it."""
    try:
        with pipe:
            pipe.write(given.encode() + b"\n")
    except OSError:
        pass


class Reader(threading.Thread):
    """Reads what a program prints, up to a limit."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self._pipe = pipe
        self._read = bytearray()
        self.is_full = False
        self.start()

    def run(self):
        """Read until there is no more, or too much."""
        while not self.is_full and (part := os.read(self._pipe.fileno(), 1 << 16)):
            self._read += part
            self.is_full = len(self._read) > MOST_BYTES

    def text(self):
        """Return what was read; a byte that is not text stays what it is."""
        return bytes(self._read).decode(errors="surrogateescape")


if __name__ == "__main__":
    main()
