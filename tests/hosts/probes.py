"""What a unit may do: a program that tries things runs in place of the unit's own, in its cage."""

import json
from typing import Any

from testinfra.host import Host

UNIT = "workflow-backend-{}.service"
_PROBE = "probe.service"
# Runs in any Python; it says of each attempt whether it went well.
_PROGRAM = """
import json, os, socket, sys

def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return error.strerror
    return "done"

def write(folder):
    path = os.path.join(folder, "probe")
    open(path, "w").close()
    os.remove(path)

def read(path):
    open(path, "rb").read(1)

def connect(address):
    host, port = address.rsplit(":", 1)
    socket.create_connection((host, int(port)), 2).close()

asked = json.loads(sys.argv[1])
answer = {
    "write": {path: attempt(write, path) for path in asked["write"]},
    "read": {path: attempt(read, path) for path in asked["read"]},
    "open": {
        name: attempt(lambda: socket.socket(getattr(socket, name), socket.SOCK_DGRAM).close())
        for name in asked["open"]
    },
    "connect": {address: attempt(connect, address) for address in asked["connect"]},
    "account": os.getuid(),
}
print("PROBE " + json.dumps(answer))
"""


def probe(host: Host, program: str, **asked: list[str]) -> dict[str, Any]:
    """Try to `write` in folders, `read` files, `open` families of sockets, `connect`; tell how."""
    question: dict[str, list[str]] = {"write": [], "read": [], "open": [], "connect": []} | asked
    unit = host.file(f"/etc/systemd/system/{UNIT.format(program)}").content_string
    lines = []
    for line in unit.splitlines():
        name = line.partition("=")[0]
        if name in {"Type", "Restart", "WatchdogSec", "ExecStart", "After", "Wants"}:
            continue
        lines.append(line)
        if line == "[Service]":
            lines += ["Type=oneshot", "ExecStart=/usr/bin/python3 /etc/probe.py ${ASKED}"]
    written = "\n".join(lines)
    command = (
        f"cat > /etc/probe.py <<'PROGRAM'\n{_PROGRAM}\nPROGRAM\n"
        f"cat > /run/systemd/system/{_PROBE} <<'UNIT'\n{written}\nUNIT\n"
        f"mkdir -p /run/systemd/system/{_PROBE}.d\n"
        f"cat > /run/systemd/system/{_PROBE}.d/asked.conf <<'ASKED'\n"
        f"[Service]\nEnvironment='ASKED={json.dumps(question)}'\nASKED\n"
        f"systemctl daemon-reload && systemctl start {_PROBE}; "
        f"journalctl _SYSTEMD_UNIT={_PROBE} --output=cat --no-pager --lines=20; "
        f"rm -r /run/systemd/system/{_PROBE}* /etc/probe.py; systemctl daemon-reload"
    )
    output = host.check_output("bash -c %s", command)
    answers = [line.removeprefix("PROBE ") for line in output.splitlines() if "PROBE " in line]
    assert answers, output
    answer: dict[str, Any] = json.loads(answers[-1])
    return answer
