"""A node's RPC that lies: it hands on what the node of a host says, with something replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .host import Host

ADDRESS = "127.0.0.1:26699"
_UNIT = "forged-rpc"
_SERVER = """
import re, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

pattern, replacement, address = sys.argv[1:]

class Forger(BaseHTTPRequestHandler):
    def do_GET(self):
        self.hand_on(None)

    def do_POST(self):
        self.hand_on(self.rfile.read(int(self.headers["Content-Length"])))

    def hand_on(self, asked):
        headers = {"Content-Type": "application/json"}
        with urlopen(Request("http://127.0.0.1:26657" + self.path, asked, headers)) as answer:
            text = re.sub(pattern, replacement, answer.read().decode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

host, port = address.split(":")
ThreadingHTTPServer((host, int(port)), Forger).serve_forever()
"""
_UP = f"until : < /dev/tcp/{ADDRESS.replace(':', '/')}; do sleep 0.1; done 2> /dev/null"


@contextmanager
def forged(host: Host, pattern: str = "", replacement: str = "") -> Iterator[None]:
    """Serve it at ADDRESS on the host; what matches the regular expression is replaced."""
    server = ["python3", "-c", _SERVER, pattern, replacement, ADDRESS]
    host.run(["systemd-run", "--quiet", f"--unit={_UNIT}", "--collect", *server])
    try:
        host.run(["timeout", "10", "bash", "-c", _UP])
        yield
    finally:
        host.run(["systemctl", "stop", _UNIT])
