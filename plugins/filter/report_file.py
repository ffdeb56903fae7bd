"""The file of a playbook's report on the control machine."""

import os
from datetime import UTC, datetime
from typing import Any

DOCUMENTATION = """
name: report_file
short_description: The file of a playbook's report on the control machine
description:
  - It is the file that the operator names, or else a new one in C(reports) beside the folder of the
    playbooks, which is named for what is done and for the time in UTC.
options:
  _input: {description: The operator's file; empty for none, type: path, required: true}
  playbooks: {description: C(playbook_dir), type: path, required: true}
  name: {description: What is done, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
report: "{{ snapshots_report | xian.workflow_backend.report_file(playbook_dir, 'drill') }}"
"""
RETURN = """
_value: {description: Absolute path of the file, type: path}
"""


def report_file(given: str, playbooks: str, name: str) -> str:
    """Return the path; see above."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return os.path.realpath(given or f"{playbooks}/../reports/{name}-{now}.json")


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"report_file": report_file}
