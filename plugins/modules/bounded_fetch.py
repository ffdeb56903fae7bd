"""What Ansible's documentation says of the action bounded_fetch, which does the work."""

DOCUMENTATION = """
module: bounded_fetch
short_description: Fetches a file of known size
description:
  - As M(ansible.builtin.fetch), which lets a host fill the disk of the control machine, but the
    file that is written here never gets longer than what is known of it.
  - Nothing is left here of a file that is longer.
options:
  src: {description: Path on the host, type: path, required: true}
  dest: {description: Path of the file on the control machine, type: path, required: true}
  most_bytes: {description: Bytes that the file has at most, type: int, required: true}
attributes:
  check_mode: {support: none}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
EXAMPLES = """
- name: Fetch an archive of a known size
  xian.workflow_backend.bounded_fetch:
    src: /var/lib/workflow-backend/archive.tar
    dest: reports/archive.tar
    most_bytes: 1048576
"""
RETURN = """
dest: {description: Path of the file on the control machine, type: str, returned: success}
"""
