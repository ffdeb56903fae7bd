"""CometBFT starts when the app listens, and the app's socket is asked without touching it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_backend_node.comet import listener

TABLE = Path("/proc/self/net/unix")


def test_a_listening_socket_is_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert listener(path, TABLE.read_text()) is None  # bound, but nobody would answer
        server.listen()
        assert listener(path, TABLE.read_text()) is not None


def test_the_file_of_a_dead_process_is_no_listener(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
    assert path.exists()
    assert listener(str(path), TABLE.read_text()) is None


def test_a_new_app_is_told_from_the_old(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    seen = []
    for _ in range(2):
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            seen.append(listener(str(path), TABLE.read_text()))
    assert None not in seen
    assert seen[0] != seen[1]


@pytest.mark.parametrize("hangs", [True, False])
def test_without_its_app_cometbft_ends(tmp_path: Path, hangs: bool) -> None:
    path = tmp_path / "app.sock"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(f'proxy_app = "unix://{path}"\n')
    comet = tmp_path / "cometbft"
    comet.write_text("#!/bin/sh\necho started\n" + ("exec sleep 60\n" if hangs else "exit 7\n"))
    comet.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        program = subprocess.Popen(
            [sys.executable, "-m", "workflow_backend_node.comet", comet, tmp_path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "started\n"
    _, err = program.communicate(timeout=20)
    assert program.returncode == (128 + signal.SIGKILL if hangs else 7)
    assert ("it is killed" in err) == hangs
