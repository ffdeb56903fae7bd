#!/usr/bin/python
"""Ansible's side of the programs that are asked in JSON and answer in JSON."""

import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: json_program
short_description: Asks a program of this toolkit in JSON
description:
  - Gives the program one JSON object on standard input, and C(--check) in check mode.
  - A program that is asked by its arguments and environment gets a key there, or nothing.
  - The program answers with one JSON object, or says on standard error why not and exits non-zero.
  - In check mode a program that an earlier task would install has an empty answer and a change.
  - What the answer calls C(changed) is a list or a truth, and C(diff) a text; both are optional.
options:
  argv: {description: The program and its arguments, type: list, elements: str, required: true}
  request: {description: The JSON object. No secret may be in it, type: dict}
  secrets: {description: What belongs in the request too, and is a secret, type: dict, default: {}}
  key: {description: What is or holds a secret; standard input in place of the request, type: str}
  environment: {description: Environment variables without secrets, type: dict, default: {}}
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
    status, out, err = module.run_command(
        argv,
        data=module.params["key"] or json.dumps(request),
        environ_update={name: str(value) for name, value in module.params["environment"].items()},
    )
    if status != 0:
        module.fail_json(msg=err.strip() or f"{argv[0]} exited with {status} and said nothing")
    try:
        answer = json.loads(out)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        module.fail_json(msg=f"{argv[0]} answered no JSON object: {out[:200]!r}")
    module.exit_json(
        changed=bool(answer.get("changed")),
        diff={"prepared": answer.get("diff", "")},
        answer=answer,
    )


def is_installed(argv):
    """Whether every file that the command names is there; a rehearsal may come before it is."""
    programs = [word for word in argv if word.startswith("/") and "/bin/" in word]
    return all(Path(word).exists() for word in programs)


if __name__ == "__main__":
    main()
