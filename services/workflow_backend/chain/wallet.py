"""The account that signs, and the lock that makes this process its only writer on this machine."""

import socket
from types import TracebackType
from typing import Any, Self

from xian_py import Wallet
from xian_py.transaction import PreparedTransaction, create_tx, prepare_transaction

from ..errors import SettingError, WalletBusy


class Account:
    """A wallet that this process alone writes with. Use it as a context manager."""

    def __init__(self, private_key: str) -> None:
        try:
            self._wallet = Wallet(private_key=private_key)
        except ValueError as error:
            raise SettingError("the wallet's private key is no Ed25519 key") from error
        self.address: str = self._wallet.public_key
        self._lock: socket.socket | None = None

    def __enter__(self) -> Self:
        # An abstract socket belongs to the machine, not to a folder, and goes with its process:
        # two services that were given the same key by mistake meet here, whatever their settings.
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0xian-workflow-wallet-{self.address}")
        except OSError:
            lock.close()
            raise WalletBusy(f"another process writes with wallet {self.address}") from None
        self._lock = lock
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def sign(self, payload: dict[str, Any]) -> PreparedTransaction:
        """Return the signed transaction: its exact bytes and its hash."""
        transaction = create_tx({**payload, "sender": self.address}, self._wallet)
        return prepare_transaction(transaction)
