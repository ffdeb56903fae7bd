"""A tunnel leads to the node while it is used, is gone afterwards, and says in a line why not."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.operations.tunnel import TunnelFailed, reached, reverse, tunnel
from workflow_backend.settings import Settings


@pytest.fixture
def ssh(tmp_path: Path) -> str:
    """A program that forwards as ssh does, see ssh.py."""
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent}/ssh.py "$@"\n')
    program.chmod(0o700)
    return str(program)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def node() -> Iterator[str]:
    """Something that answers; its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def listens(url: str) -> bool:
    """Whether anything takes a connection there."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_tunnel_leads_to_the_node_and_is_gone_afterwards(ssh: str) -> None:
    with node() as url, tunnel([ssh, "-p", "22", "node-1"], url) as through:
        assert through != url
        assert urlopen(f"{through}/status").read() == b"/status"
    assert not listens(through)


def test_reverse_tunnel_leads_from_the_host_back_to_here(ssh: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with node() as url, reverse([ssh, "node-1"], port, url) as there:
        assert there == f"http://127.0.0.1:{port}"
        assert urlopen(f"{there}/status").read() == b"/status"
    assert not listens(there)


def test_port_of_the_host_that_is_taken_is_reported(ssh: str) -> None:
    message = "forwarding failed for listen port"
    with (
        node() as url,
        pytest.raises(TunnelFailed, match=message),
        reverse([ssh, "node-1"], int(url.rpartition(":")[2]), url),
    ):
        pass


def test_settings_are_led_through_the_tunnel(ssh: str) -> None:
    with node() as url:
        environment = {"XIAN_CHAIN_ID": "unit-1", "XIAN_NODE_URL": url}
        settings = Settings.load(environment | {"XIAN_WORKFLOW_SSH": f"'{ssh}' node-1"})
        with reached(settings) as there:
            assert urlopen(there.node_url).status == 200
            assert there.node_url != url
        plain = Settings.load(environment)
        with reached(plain) as there:
            assert there is plain


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unreachable", "no login to unreachable: .* No route to host"),
        ("locked", r"no login to locked: root@locked: Permission denied \(publickey\)\."),
    ],
)
def test_login_that_fails_is_named_in_a_line(ssh: str, host: str, reason: str) -> None:
    with pytest.raises(TunnelFailed, match=reason) as raised, tunnel([ssh, host], "http://[::1]:1"):
        pass
    assert "\n" not in raised.value.explain()


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("endless-greeting", "no login to endless-greeting: it prints more than a greeting"),
        ("endless-warnings", r"no login to endless-warnings: \\x1b\[2J"),
    ],
)
def test_tunnel_ends_with_a_host_that_prints_without_end(ssh: str, host: str, reason: str) -> None:
    with pytest.raises(TunnelFailed, match=reason) as raised, tunnel([ssh, host], "http://[::1]:1"):
        pass
    assert len(raised.value.explain()) < 3_000
    assert raised.value.explain().isprintable()


def test_node_that_does_not_listen_is_named_in_a_line(ssh: str) -> None:
    with node() as url:
        pass
    with (
        pytest.raises(TunnelFailed, match=rf"no answer from {url} on node-1: .*refused") as raised,
        tunnel([ssh, "node-1"], url),
    ):
        pass
    assert "\n" not in raised.value.explain()


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(TunnelFailed, match=f"{tmp_path}/none can't be started"),
        tunnel([f"{tmp_path}/none", "node-1"], "http://127.0.0.1:1"),
    ):
        pass


def test_address_with_tls_is_refused() -> None:
    with pytest.raises(SettingError, match="https://node"), tunnel(["ssh", "x"], "https://node"):
        pass


def test_tunnel_ends_with_the_process_that_made_it(ssh: str) -> None:
    code = (
        "import sys, time\n"
        "from workflow_backend.operations.tunnel import tunnel\n"
        f"with tunnel([{ssh!r}, 'node-1'], sys.argv[1]) as through:\n"
        "    print(through, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with (
        node() as url,
        subprocess.Popen(
            [sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        through = process.stdout.readline().strip()
        assert listens(through)
        os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while listens(through):
            assert time.monotonic() < deadline, "the tunnel outlives its process"
            time.sleep(0.05)
