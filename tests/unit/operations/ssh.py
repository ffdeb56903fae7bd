"""Stands for `ssh` in tests: every host is this machine, and takes no login.

It forwards like ssh, and runs a command. A host's name may say what becomes of it; ssh says the
same in such a case. The file SSH_STUB_RECORD gets all that a host is told.
"""

import asyncio
import getopt
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ENDS = {
    "unreachable": "ssh: connect to host unreachable port 22: No route to host",
    "locked": "Warning: Permanently added 'locked'.\nroot@locked: Permission denied (publickey).",
}


async def run(arguments: list[str]) -> int:
    """Forward until standard input is over."""
    options, (host, *_, command) = getopt.getopt(arguments, "CTL:R:i:o:p:")
    if host.startswith("endless"):
        descriptor = 1 if host == "endless-greeting" else 2
        while True:
            os.write(descriptor, b"\x1b[2J" * 1024)
    if host in ENDS:
        print(ENDS[host], file=sys.stderr)
        return 255
    if command != "cat":
        return tell(command)
    ways = dict(options)  # here and there are one machine, so both directions are one
    address, port, *to = ways.get("-L", ways.get("-R", "")).split(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far = await asyncio.open_connection(*to)
        except OSError:
            print("channel 3: open failed: connect failed: Connection refused", file=sys.stderr)
            writer.close()
            return
        await asyncio.gather(copy(reader, far[1]), copy(far[0], writer))

    try:
        server = await asyncio.start_server(forward, address, int(port))
    except OSError:
        print(f"Error: remote port forwarding failed for listen port {port}", file=sys.stderr)
        return 255
    async with server:
        await asyncio.to_thread(echo)
    return 0


def tell(command: str) -> int:
    """Run what a host is told to run."""
    there = os.environ | {"SSH_STUB": "there"}
    with (
        Path(os.environ.get("SSH_STUB_RECORD", os.devnull)).open("ab", buffering=0) as record,
        subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, env=there) as process,
        suppress(BrokenPipeError),
    ):
        record.write(command.encode() + b"\n")
        assert process.stdin is not None
        while part := os.read(0, 65536):
            record.write(part)
            process.stdin.write(part)
            process.stdin.flush()
    return process.returncode


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on one direction of a connection."""
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()


def echo() -> None:
    """What `cat` does."""
    while part := os.read(0, 65536):
        os.write(1, part)


if __name__ == "__main__":
    sys.exit(asyncio.run(run(sys.argv[1:])))
