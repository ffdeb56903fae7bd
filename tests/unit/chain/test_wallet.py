"""One wallet has one writer, and nobody else can stand in its way."""

import contextlib
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from xian_py import Wallet

from workflow_backend.chain.wallet import lock_wallet, user_state_dir
from workflow_backend.errors import SettingError, WalletBusy

KEY = Wallet().private_key
ADDRESS = Wallet(KEY).public_key


def test_wallet_has_one_writer(tmp_path: Path) -> None:
    with lock_wallet(KEY, tmp_path / "state") as account:
        assert account.address == ADDRESS
        with pytest.raises(WalletBusy, match=ADDRESS), lock_wallet(KEY, tmp_path / "state"):
            pass
        with lock_wallet(Wallet().private_key, tmp_path / "state"):
            pass  # another wallet is another matter
    with lock_wallet(KEY, tmp_path / "state"):
        pass


def test_wallet_is_free_after_kill(tmp_path: Path) -> None:
    held = "import time; print(flush=True); time.sleep(60)"
    program = (
        "import sys, pathlib\n"
        "from workflow_backend.chain.wallet import lock_wallet\n"
        f"with lock_wallet(sys.argv[1], pathlib.Path(sys.argv[2])):\n    {held}"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, KEY, tmp_path], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"\n"
        with pytest.raises(WalletBusy), lock_wallet(KEY, tmp_path):
            pass
    finally:
        writer.kill()
        writer.communicate()
    with lock_wallet(KEY, tmp_path):
        pass


def test_wallet_lock_is_safe_from_other_accounts(tmp_path: Path) -> None:
    """What any account may bind is not a lock, and what is one lies in a folder of its own."""
    with contextlib.ExitStack() as taken:
        name = f"\0xian-workflow-wallet-{ADDRESS}"
        taken.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(name)
        with lock_wallet(KEY, tmp_path / "state"):
            (lock,) = (tmp_path / "state").iterdir()
            assert stat.S_IMODE(lock.stat().st_mode) == 0o600
            assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


def test_wallet_lock_follows_no_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    lock = tmp_path / f"wallet-{ADDRESS}.lock"
    lock.symlink_to(other)
    with pytest.raises(OSError, match=re.escape(lock.name)), lock_wallet(KEY, tmp_path):
        pass
    assert not other.exists()
    other.touch()
    with pytest.raises(OSError, match=re.escape(lock.name)), lock_wallet(KEY, tmp_path):
        pass
    lock.unlink()
    os.mkfifo(lock)
    with lock_wallet(KEY, tmp_path):
        pass  # it is not waited for


def test_wrong_key_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as refused, lock_wallet("secret", tmp_path):
        pass
    assert "secret" not in str(refused.value)


def test_user_state_dir_belongs_to_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert user_state_dir() == tmp_path / "workflow-backend"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")  # sudo may leave another's
    assert user_state_dir().name == "workflow-backend"
    assert not user_state_dir().is_relative_to("/somewhere")
