"""A real PostgreSQL for tests, in a temporary folder, on a unix socket."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from processes import wait_until
from toolchain_harness import Toolchain


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start one and yield the DSN of an empty database; whoever may enter its folder may log in."""
    toolchain = Toolchain()
    folder = toolchain.folder()
    account, programs = toolchain["account"], toolchain["postgres_bin"]
    data = folder / "data"

    def run(program: str, *arguments: str) -> list[str]:
        return [*toolchain.as_account, f"{programs}/{program}", *arguments]

    initdb = run("initdb", f"--pgdata={data}", "--auth=trust", "--encoding=UTF8", "--no-sync")
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
    options = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            run("postgres", "-D", str(data), *settings), stdout=log, stderr=log, cwd=folder
        )
    try:
        pid = data / "postmaster.pid"
        wait_until(lambda: pid.exists() and "ready" in pid.read_text(), 30, "PostgreSQL is ready")
        yield f"postgresql:///postgres?host={folder}&user={account}"
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, its shared memory removed
        server.wait(30)
        shutil.rmtree(folder)
