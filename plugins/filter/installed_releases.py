"""The releases of hosts, as the plan of an upgrade asks for them."""

from collections.abc import Mapping
from typing import Any

DOCUMENTATION = """
name: installed_releases
short_description: The releases of each host, from what C(host_release) answered there
options:
  _input: {description: Answers of C(host_release) by host, type: dict, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
hosts: "{{ {'one': host_release_answer} | xian.workflow_backend.installed_releases }}"
"""
RETURN = """
_value:
  description: C(current), C(previous), C(releases) and C(compatible) by host
  type: dict
"""


def installed_releases(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the releases; see above."""
    return {
        host: {
            "current": answer.get("current", ""),
            "previous": answer.get("previous", ""),
            "releases": answer.get("versions"),
            "compatible": answer.get("compatible"),
        }
        for host, answer in answers.items()
    }


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"installed_releases": installed_releases}
