"""The account that signs, and the lock that makes a process its only writer."""

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xian_py import Wallet
from xian_py.transaction import PreparedTransaction, create_tx, prepare_transaction

from ..errors import SettingError, WalletBusy


class Account:
    """A wallet: `address` is its public key."""

    def __init__(self, private_key: str) -> None:
        try:
            self._wallet = Wallet(private_key=private_key)
        except ValueError as error:
            raise SettingError("the wallet's private key is no Ed25519 key") from error
        self.address: str = self._wallet.public_key

    def sign(self, payload: dict[str, Any]) -> PreparedTransaction:
        """Return the signed transaction: its exact bytes and its hash."""
        transaction = create_tx({**payload, "sender": self.address}, self._wallet)
        return prepare_transaction(transaction)


@contextlib.contextmanager
def sole_writer(private_key: str, folder: Path) -> Iterator[Account]:
    """Yield a wallet that no other process with this folder writes with; raises WalletBusy.

    The folder is this account's own: a name that any account of the machine may take, as that of a
    socket, would let each of them keep a service from starting.
    """
    account = Account(private_key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"wallet-{account.address}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise WalletBusy(f"another process writes with wallet {account.address}") from None
    try:
        yield account
    finally:
        os.close(lock)  # the lock goes with it, as it does when the process is killed


def own_folder() -> Path:
    """Return where commands that a person runs keep their state: XDG's folder of this account."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return Path(os.environ.get("XDG_STATE_HOME") or home / ".local/state") / "workflow-backend"
