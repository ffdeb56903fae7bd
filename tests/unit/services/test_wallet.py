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

from workflow_backend.chain.wallet import own_folder, sole_writer
from workflow_backend.errors import SettingError, WalletBusy

KEY = Wallet().private_key
ADDRESS = Wallet(KEY).public_key


def test_second_writer_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with sole_writer(KEY, tmp_path / "state") as account:
        assert account.address == ADDRESS
        with pytest.raises(WalletBusy, match=ADDRESS), sole_writer(KEY, tmp_path / "state"):
            pass
        with sole_writer(Wallet().private_key, tmp_path / "state"):
            pass  # another wallet is another matter
    with sole_writer(KEY, tmp_path / "state"):
        pass


def test_killed_writer_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    held = "import time; print(flush=True); time.sleep(60)"
    program = (
        "import sys, pathlib\n"
        "from workflow_backend.chain.wallet import sole_writer\n"
        f"with sole_writer(sys.argv[1], pathlib.Path(sys.argv[2])):\n    {held}"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, KEY, tmp_path], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"\n"
        with pytest.raises(WalletBusy), sole_writer(KEY, tmp_path):
            pass
    finally:
        writer.kill()
        writer.communicate()
    with sole_writer(KEY, tmp_path):
        pass


def test_other_account_can_not_take_the_lock(tmp_path: Path) -> None:
    """What any account may bind is no lock, and what is one lies in a folder of its own."""
    with contextlib.ExitStack() as taken:
        name = f"\0xian-workflow-wallet-{ADDRESS}"
        taken.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(name)
        with sole_writer(KEY, tmp_path / "state"):
            (lock,) = (tmp_path / "state").iterdir()
            assert stat.S_IMODE(lock.stat().st_mode) == 0o600
            assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


def test_link_or_pipe_in_its_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    lock = tmp_path / f"wallet-{ADDRESS}.lock"
    lock.symlink_to(other)
    with pytest.raises(OSError, match=re.escape(lock.name)), sole_writer(KEY, tmp_path):
        pass
    assert not other.exists()
    lock.unlink()
    os.mkfifo(lock)
    with sole_writer(KEY, tmp_path):
        pass  # it is not waited for


def test_wrong_key_is_named_and_not_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as refused, sole_writer("secret", tmp_path):
        pass
    assert "secret" not in str(refused.value)


def test_commands_of_a_person_lock_in_their_accounts_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert own_folder() == tmp_path / "workflow-backend"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")  # sudo may leave another's
    assert own_folder().name == "workflow-backend"
    assert not own_folder().is_relative_to("/somewhere")
