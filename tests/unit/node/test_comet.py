"""The launcher of CometBFT: it starts when the app listens and stops when the app is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from manager_harness import Ear
from processes import free_port


class Rpc(BaseHTTPRequestHandler):
    """Answers as CometBFT does, or with what a test sets."""

    answer = '{"result": {"sync_info": {"latest_block_height": "7"}}}'

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/status" else 404)
        self.end_headers()
        self.wfile.write(self.answer.encode())

    def log_message(self, *_: object) -> None:
        pass


class Launched:
    """The launcher with a CometBFT that is a shell script, and an app that only listens."""

    def __init__(self, folder: Path, script: str, ear: Ear) -> None:
        self.port = free_port()
        (folder / "config").mkdir()
        (folder / "config" / "config.toml").write_text(
            f'proxy_app = "unix://{folder}/app.sock"\n[rpc]\nladdr = "tcp://127.0.0.1:{self.port}"\n'
        )
        comet = folder / "cometbft"
        comet.write_text(f"#!/bin/sh\necho started\n{script}\n")
        comet.chmod(0o700)
        self.app = socket.socket(socket.AF_UNIX)
        self.app.bind(str(folder / "app.sock"))
        self.app.listen()
        self.program = subprocess.Popen(
            [sys.executable, "-m", "workflow_backend_node.comet", comet, folder],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ear.environment},
        )
        assert self.read_line() == "started"

    def read_line(self) -> str:
        assert self.program.stderr is not None
        entry = json.loads(self.program.stderr.readline())
        assert entry["logger"].startswith("cometbft")
        return str(entry["message"])

    @contextmanager
    def rpc(self) -> Iterator[None]:
        with HTTPServer(("127.0.0.1", self.port), Rpc) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield
            server.shutdown()
            thread.join()

    def close(self) -> None:
        self.app.close()
        self.program.kill()
        self.program.communicate(timeout=20)


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear(patience=1) as listening:
        yield listening


@pytest.fixture
def launch(tmp_path: Path, ear: Ear) -> Iterator[Callable[[str], Launched]]:
    with ExitStack() as stack:

        def launched(script: str) -> Launched:
            program = Launched(tmp_path, script, ear)
            stack.callback(program.close)
            return program

        yield launched


@pytest.mark.parametrize("hangs", [True, False])
def test_without_its_app_cometbft_ends(launch: Callable[[str], Launched], hangs: bool) -> None:
    launched = launch("exec sleep 60" if hangs else "sleep 1; exit 7")
    launched.app.close()
    if hangs:
        assert "it is killed" in launched.read_line()
    assert launched.program.wait(20) == (128 + signal.SIGKILL if hangs else 7)


FAILURE = (
    '{"level":"error","ts":"2026-03-01T12:00:00Z","_msg":"CONSENSUS FAILURE!!!",'
    '"module":"consensus","err":"no space left on device"}'
)


def test_with_a_dead_consensus_cometbft_is_killed(launch: Callable[[str], Launched]) -> None:
    launched = launch(f"trap '' TERM; echo '{FAILURE}'; while :; do sleep 0.1; done")
    assert launched.read_line() == "CONSENSUS FAILURE!!!"
    assert "it is killed" in launched.read_line()
    assert launched.program.wait(20) == 128 + signal.SIGKILL


def test_consensus_failure_counts_from_cometbft_alone(launch: Callable[[str], Launched]) -> None:
    launched = launch(f"echo '{FAILURE.replace('"consensus"', '"rpc"')}'; exec sleep 60")
    assert launched.read_line() == "CONSENSUS FAILURE!!!"
    with pytest.raises(subprocess.TimeoutExpired):
        launched.program.wait(1)


def test_launcher_is_ready_and_alive_while_the_rpc_answers(
    launch: Callable[[str], Launched], ear: Ear
) -> None:
    launched = launch("exec sleep 60")
    with pytest.raises(AssertionError):
        ear.wait_for("READY", 1)
    with launched.rpc():
        ear.wait_for("READY", 5)
        assert ear.wait_for("WATCHDOG", 5)[-1]["STATUS"] == "block 7"
    ear.wait_for("STATUS=the RPC does not answer", 5)
    with pytest.raises(AssertionError):
        ear.wait_for("WATCHDOG", 1)
    with launched.rpc():
        ear.wait_for("WATCHDOG", 5)
    assert ear.speakers == {launched.program.pid}


@pytest.mark.parametrize("answer", ["", "[]", '{"error": {}}', '{"result": {"sync_info": {}}}'])
def test_answer_without_a_height_is_none(
    launch: Callable[[str], Launched], ear: Ear, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rpc, "answer", answer)
    launched = launch("exec sleep 60")
    with launched.rpc(), pytest.raises(AssertionError):
        ear.wait_for("READY", 1)
    assert launched.program.poll() is None


def test_launcher_forwards_signals_to_cometbft(launch: Callable[[str], Launched], ear: Ear) -> None:
    launched = launch("trap 'echo asked; exit 3' TERM; while :; do sleep 0.1; done")
    launched.program.terminate()
    ear.wait_for("STOPPING", 5)
    assert launched.read_line() == "asked"
    assert launched.program.wait(5) == 3


def test_cometbft_has_no_manager_of_its_own(launch: Callable[[str], Launched]) -> None:
    launched = launch("sleep 0.5; echo manager=$NOTIFY_SOCKET$WATCHDOG_USEC; exec sleep 60")
    assert launched.read_line() == "manager="
