"""The services' wallets: a private key for each in a folder, and who they are for everybody."""

import json
import os
from pathlib import Path
from typing import Any

from xian_py import Wallet

from ..errors import SettingError

INDEX = "wallets.json"


def make_wallets(directory: Path, names: list[str], *, check: bool) -> dict[str, Any]:
    """Make the keys that are missing, `NAME.key` (0600), and write the public ones to wallets.json.

    A key that is there is never changed. Returns the public keys by name; with `check` nothing is
    written, and a wallet that would be made has none yet. Raises SettingError for a broken key.
    """
    public: dict[str, str | None] = {}
    for name in names:
        path = directory / f"{name}.key"
        if path.exists():
            public[name] = _public_key(path)
        else:
            public[name] = None if check else _make(path)
    text = json.dumps(public, indent=2, sort_keys=True) + "\n"
    index = directory / INDEX
    changed = not index.exists() or index.read_text(encoding="utf-8") != text
    if changed and not check:
        _write(index, text)
    return {"changed": changed, "wallets": public}


def _public_key(path: Path) -> str:
    try:
        key: str = Wallet(private_key=path.read_text(encoding="ascii").strip()).public_key
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
