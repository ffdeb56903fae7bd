"""The account that signs transactions, and the lock that gives it a single writer."""

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xian_py import Wallet
from xian_py.transaction import PreparedTransaction, create_tx, prepare_transaction

from ..errors import SettingError, WalletBusy
from ..file_lock import file_lock


class Account:
    """An account with its private key; `address` is its public key in hexadecimal."""

    def __init__(self, private_key: str) -> None:
        try:
            self._wallet = Wallet(private_key=private_key)
        except ValueError as error:
            raise SettingError("the wallet's private key is not an Ed25519 key") from error
        self.address: str = self._wallet.public_key

    def sign(self, payload: dict[str, Any]) -> PreparedTransaction:
        """Return the signed transaction: its exact bytes and its hash."""
        transaction = create_tx({**payload, "sender": self.address}, self._wallet)
        return prepare_transaction(transaction)


@contextlib.contextmanager
def lock_wallet(private_key: str, folder: Path) -> Iterator[Account]:
    """Yield the wallet while no other process with this state folder writes with it.

    Raises WalletBusy if one does, and SettingError for a key that is none.
    """
    account = Account(private_key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy = WalletBusy(f"another process writes with wallet {account.address}")
    with file_lock(folder / f"wallet-{account.address}.lock", busy):
        yield account


def user_state_dir() -> Path:
    """Return the state folder of commands that a person runs: XDG's, of this account."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return Path(os.environ.get("XDG_STATE_HOME") or home / ".local/state") / "workflow-backend"
