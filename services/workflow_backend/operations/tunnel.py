"""A way to a node whose RPC only its own host reaches: over SSH, for as long as a command runs.

What holds a key of the operator then runs on the control machine, and the key never leaves it.
"""

import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO
from urllib.parse import SplitResult, urlsplit

from ..errors import SettingError, WorkflowError
from ..printable import printable
from ..settings import Settings

LOGIN_SECONDS = 60.0
ANSWER_SECONDS = 20.0

GREETING_BYTES = 64 << 10
"""Bytes that a host may print before its login is through, at most."""

STDERR_BYTES = 1 << 20
"""Bytes that ssh may say at most; it ends there, and the tunnel with it."""

_REASON_CHARACTERS = 500

NO_LOGIN = "no login to"
"""How the reason begins where a host lets nobody in, as one that is down; its node is unknown."""

_WORD = b"the tunnel is open\n"
# ssh takes the first value that it is given, so these hold whatever the command says. A connection
# that ssh shares with others would keep the tunnel open after its end.
_FIRST = (
    *("-o", "BatchMode=yes"),
    *("-o", "ExitOnForwardFailure=yes"),
    *("-o", "ControlMaster=no", "-o", "ControlPath=none"),
)
_LAST = (
    *("-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"),
)


class TunnelFailed(WorkflowError):
    """There is no way to the node over SSH."""

    hint = "ssh must get there, and log in by a key and without a question: try it in a shell"


@contextmanager
def reached(settings: Settings) -> Iterator[Settings]:
    """Give settings whose node is in reach: the same, or through a tunnel where one is set.

    Raises TunnelFailed, or SettingError for a node that no tunnel leads to.
    """
    if not settings.ssh:
        yield settings
        return
    with tunnel(settings.ssh, settings.node_url) as url:
        yield replace(settings, node_url=url)


@contextmanager
def tunnel(ssh: Sequence[str], url: str) -> Iterator[str]:
    """Give a URL that leads to `url` as the host sees it that `ssh`, a whole command, logs in to.

    Raises TunnelFailed, which names the host and ssh's reason, or SettingError.
    """
    parts = _parts(url)
    port = _free_port()
    with _session(ssh, "-L", f"127.0.0.1:{port}:{_place(parts)}") as stderr:
        _wait_for_answer(port, stderr, f"{url} on {ssh[-1]}")
        yield f"http://127.0.0.1:{port}{parts.path}"


@contextmanager
def reverse(ssh: Sequence[str], port: int, url: str) -> Iterator[str]:
    """Give a URL by which the host that `ssh` logs in to reaches `url`, as it is seen from here.

    Raises TunnelFailed, also where that port of the host's loopback is taken, or SettingError.
    """
    parts = _parts(url)
    with _session(ssh, "-R", f"127.0.0.1:{port}:{_place(parts)}"):
        yield f"http://127.0.0.1:{port}{parts.path}"


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise SettingError(f"a tunnel leads to a node at an http:// address, not to {url}")
    return parts


def _place(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    return f"{host}:{parts.port or 80}"


@contextmanager
def _session(ssh: Sequence[str], direction: str, way: str) -> Iterator[IO[bytes]]:
    """Log in and forward for as long as the block runs; gives what ssh writes on standard error."""
    # `cat` gives back what it is given once ssh has logged in and listens, and it ends with this
    # process, however that ends: its input is over then.
    command = [ssh[0], "-T", *_FIRST, direction, way, *ssh[1:], *_LAST, "cat"]
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as stderr:
        with theirs:
            try:
                process = subprocess.Popen(
                    command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=stderr
                )
            except OSError as error:
                raise TunnelFailed(f"{ssh[0]} can't be started: {error.strerror}") from error
        try:
            # A host may have ssh write without end: what it says on standard error is passed on.
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (STDERR_BYTES, STDERR_BYTES))
            _wait_for_login(ours, stderr, ssh[-1])
            yield stderr
        finally:
            process.kill()  # on SIGTERM it ends, but now and then only with the next packet
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_login(pipe: socket.socket, stderr: IO[bytes], host: str) -> None:
    deadline = time.monotonic() + LOGIN_SECONDS
    given = b""
    try:
        pipe.sendall(_WORD)
        while _WORD not in given:
            if len(given) > GREETING_BYTES:
                raise TunnelFailed(f"{NO_LOGIN} {host}: it prints more than a greeting")
            pipe.settimeout(max(deadline - time.monotonic(), 0.001))
            part = pipe.recv(4096)
            if not part:
                raise ConnectionResetError
            given += part
    except TimeoutError:
        raise TunnelFailed(f"{NO_LOGIN} {host} within {LOGIN_SECONDS:.0f} s") from None
    except ConnectionError:
        raise TunnelFailed(f"{NO_LOGIN} {host}: {_reason(stderr)}") from None


def _wait_for_answer(port: int, stderr: IO[bytes], node: str) -> None:
    """Wait for the first byte of an answer: sshd takes a connection that leads nowhere, too."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            if not connection.recv(1):
                raise ConnectionResetError("the connection was closed")
    except OSError as error:
        raise TunnelFailed(
            f"no answer from {node}: {_reason(stderr) or error}",
            hint="check that the node runs, and that its sshd forwards (AllowTcpForwarding)",
        ) from error


def _reason(stderr: IO[bytes]) -> str:
    """Return the last line that ssh wrote; those above it are greetings and warnings."""
    # Not by `read`, which would move the place where ssh writes.
    text = os.pread(stderr.fileno(), STDERR_BYTES, 0).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    last = next((line for line in reversed(lines) if line), "")[:_REASON_CHARACTERS]
    return printable(last)
