"""The services' wallets: a private key for each in a folder, and who they are for everybody."""

import json
import os
from pathlib import Path
from typing import Any

from xian_py import Wallet

from ..errors import SettingError

INDEX = "wallets.json"

_ENCRYPTED = "$ANSIBLE_VAULT;"


def make_wallets(directory: Path, names: list[str], *, check: bool) -> dict[str, Any]:
    """Make the keys that are missing, `NAME.key` (0600), and write the public ones to wallets.json.

    A key that is there is never changed; of one that Ansible Vault encrypted wallets.json knows the
    public part, and keeps it. Returns the public keys by name; with `check` nothing is written, and
    a wallet that would be made has none yet. Raises SettingError for a broken key, and for a name
    that is none of a file.
    """
    for name in names:
        plain = name.isprintable() and Path(name).name == name
        if not (plain and name) or name.startswith("."):
            raise SettingError(f"{name!r} is not a name for a wallet, whose file is NAME.key")
    index = directory / INDEX
    known = _known(index)
    public: dict[str, str | None] = {
        name: key for name, key in known.items() if _path(directory, name).exists()
    }
    for name in names:
        path = _path(directory, name)
        if path.exists():
            public[name] = _public_key(path, known.get(name))
        else:
            public[name] = None if check else _make(path)
    changed = public != known
    if changed and not check:
        _write(index, json.dumps(public, indent=2, sort_keys=True) + "\n")
    return {"changed": changed, "wallets": {name: public[name] for name in names}}


def _path(directory: Path, name: str) -> Path:
    return directory / f"{name}.key"


def _known(index: Path) -> dict[str, str]:
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SettingError(f"{index} is not JSON: {error}", hint="put it back") from error
    if not isinstance(known, dict):
        raise SettingError(f"{index} holds no names with keys", hint="put it back")
    return known


def _public_key(path: Path, known: str | None) -> str:
    text = path.read_text(encoding="ascii", errors="replace")
    if text.startswith(_ENCRYPTED):
        if known is None:
            raise SettingError(
                f"{path} is encrypted, and {INDEX} beside it does not tell whose key it is",
                hint="put that file back, or decrypt the key with ansible-vault",
            )
        return known
    try:
        key: str = Wallet(private_key=text.strip()).public_key
    except ValueError:
        raise SettingError(
            f"{path} holds no private key of 64 hexadecimal digits",
            hint="put the right one back; to give up the wallet, remove the file",
        ) from None
    return key


def _make(path: Path) -> str:
    wallet = Wallet()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path, wallet.private_key + "\n")
    key: str = wallet.public_key
    return key


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: half a key would be a lost wallet."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
