"""What Ansible's documentation says of the action vaulted_files, which does the work."""

DOCUMENTATION = """
module: vaulted_files
short_description: Encrypts files on the control machine with the vault password of this run
description:
  - A file that is encrypted already is left as it is, so a second run changes nothing; that the
    password opens it is verified.
  - Each file is replaced in one step, and is then for its owner alone (0600).
  - Without a vault password nothing is changed.
options:
  directory: {description: Folder of the files, type: path, required: true}
  patterns: {description: Which files in it, type: list, elements: str, required: true}
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The authors of this toolkit
"""
EXAMPLES = """
- name: Encrypt the keys
  xian.workflow_backend.vaulted_files:
    directory: networks/mine
    patterns: ["wallets/*.key"]
"""
RETURN = """
plain: {description: Files that are not encrypted, type: list, elements: str, returned: success}
encrypted: {description: Files that are, type: list, elements: str, returned: success}
"""
