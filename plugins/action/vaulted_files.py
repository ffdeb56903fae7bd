"""Encrypts files on the control machine with the password that the playbook was given."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecretsContext, is_encrypted, match_encrypt_secret
from ansible.plugins.action import ActionBase

ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "patterns": {"type": "list", "elements": "str", "required": True},
}


class ActionModule(ActionBase):
    """Runs in Ansible's own process: only that one has the password."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Any = None) -> Mapping[str, Any]:
        """Encrypt what is not encrypted yet."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        directory = Path(arguments["directory"])
        files = {
            path: path.read_bytes()
            for pattern in arguments["patterns"]
            for path in sorted(directory.glob(pattern))
        }
        plain = [path for path, content in files.items() if not is_encrypted(content)]
        vault = VaultLib(VaultSecretsContext.current().secrets)
        if vault.secrets:
            for path in files.keys() - set(plain):
                _verify(vault, path, files[path])
            vault_id, secret = match_encrypt_secret(
                vault.secrets, constants.DEFAULT_VAULT_ENCRYPT_IDENTITY
            )
            for path in plain if not self._task.check_mode else ():
                _replace(path, vault.encrypt(files[path], secret, vault_id=vault_id))
            result["changed"] = bool(plain)
            plain = []
        result["plain"] = [str(path) for path in plain]
        result["encrypted"] = [str(path) for path in files if path not in plain]
        return result


def _verify(vault: VaultLib, path: Path, content: bytes) -> None:
    try:
        vault.decrypt(content)
    except AnsibleError as error:
        raise AnsibleError(f"the vault password of this run does not open {path}") from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        Path(beside).rename(path)
    except BaseException:
        Path(beside).unlink()
        raise
