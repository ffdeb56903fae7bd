#!/usr/bin/python
"""Ansible's side of the programs that are asked in JSON and answer in JSON."""

import json

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: json_program
short_description: Asks a program of this toolkit in JSON
description:
  - Gives the program one JSON object on standard input, and C(--check) as an argument in check mode.
  - The program answers with one JSON object, or says on standard error why not and exits non-zero.
  - What the answer calls C(changed) is a list, and C(diff) a text; both are optional.
options:
  argv: {description: The program and its arguments, type: list, elements: str, required: true}
  request: {description: The JSON object. No secret may be in it, type: dict, required: true}
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
            "request": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    argv = module.params["argv"] + (["--check"] if module.check_mode else [])
    status, out, err = module.run_command(argv, data=json.dumps(module.params["request"]))
    if status != 0:
        module.fail_json(msg=err.strip() or f"{argv[0]} exited with {status} and said nothing")
    answer = json.loads(out)
    module.exit_json(
        changed=bool(answer.get("changed")), diff={"prepared": answer.get("diff", "")}, answer=answer
    )


if __name__ == "__main__":
    main()
