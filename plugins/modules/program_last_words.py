#!/usr/bin/python
"""Why programs do not run, in their own words."""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.program_log import of_file, of_unit

DOCUMENTATION = """
module: program_last_words
short_description: Reports the last lines of programs' logs
description:
  - Of systemd's units, it reports those that have failed or still start; if there are none, those
    that do not run, else all.
  - It changes nothing. What is not printable text is left out.
options:
  units: {description: Units of systemd by the names of their programs, type: dict, default: {}}
  files: {description: Log files by the names of their programs, type: dict, default: {}}
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
RETURN = """
words: {description: A line for each program, type: list, returned: always}
"""


def main():
    """Ask the logs."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "default": {}},
            "files": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run, units = module.run_command, module.params["units"]
    said = {name: of_unit(run, unit) for name, unit in troubled(run, units).items()}
    said |= {name: of_file(path) for name, path in module.params["files"].items()}
    words = [f"{name}: {text or 'nothing in its log'}" for name, text in said.items()]
    module.exit_json(changed=False, words=words)


def troubled(run, units):
    """Units that fail or come up; where none does those that do not run, or all."""
    state = {name: run(["systemctl", "is-active", unit])[1].strip() for name, unit in units.items()}
    for expected in (("active", "inactive"), ("active",), ()):
        if found := {name: unit for name, unit in units.items() if state[name] not in expected}:
            return found
    return {}


if __name__ == "__main__":
    main()
