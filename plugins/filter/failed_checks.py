"""The checks that failed, for the message of a task."""

import json
from typing import Any

DOCUMENTATION = """
name: failed_checks
short_description: The checks that failed, from what C(workflow-backend health --json) printed
options:
  _input:
    description: The JSON. An empty text has no checks, as where a setting was wrong.
    type: str
    required: true
author: The authors of this toolkit
"""
EXAMPLES = """
failed: "{{ health.stdout | xian.workflow_backend.failed_checks | join('; ') }}"
"""
RETURN = """
_value: {description: 'NAME: WHAT (HINT) of each', type: list, elements: str}
"""


def failed_checks(answer: str) -> list[str]:
    """Return each check that failed, with what is wrong and what to do."""
    checks = json.loads(answer)["checks"] if answer else []
    return [
        f"{check['name']}: {check['what']} ({check['hint']})"
        for check in checks
        if check["state"] == "failed"
    ]


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"failed_checks": failed_checks}
