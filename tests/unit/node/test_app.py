"""The launcher starts what it was written for, and says what else it wants."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from manager_harness import Ear

from workflow_backend_node import app
from workflow_backend_node.requests import Refused


def refused(*arguments: str, **environment: str) -> str:
    """Why the launcher does not start; it says nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "workflow_backend_node.app", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    entry = json.loads(done.stderr)
    assert (entry["level"], entry["logger"]) == ("error", "abci")
    return str(entry["message"])


def test_app_of_another_version_is_refused() -> None:
    with pytest.raises(Refused, match=r"0\.9\.4 is installed.*0\.9\.3: install 0\.9\.3, or"):
        app._check_version("0.9.4")


def test_missing_home_is_one_line(tmp_path: Path) -> None:
    assert str(tmp_path / ".cometbft" / "config" / "config.toml") in refused(
        str(tmp_path / ".cometbft")
    )


@pytest.fixture
def indexed(tmp_path: Path) -> str:
    """A home that is there just enough to ask for the index."""
    config = tmp_path / ".cometbft" / "config"
    config.mkdir(parents=True)
    for name in ("config.toml", "genesis.json"):
        (config / name).touch()
    (config / "xian.toml").write_text("bds_enabled = true\n")
    return str(tmp_path / ".cometbft")


def test_index_without_a_database_is_one_line(indexed: str) -> None:
    assert refused(indexed) == (
        "the app does not start: "
        "neither XIAN_BDS_DSN nor the credential index_dsn names the index's database"
    )


def test_password_in_a_bad_dsn_is_not_shown(indexed: str) -> None:
    reason = refused(indexed, XIAN_BDS_DSN="mysql://me:hunter2@host:port/x")
    assert "index_dsn is not a PostgreSQL DSN" in reason
    assert "hunter2" not in reason


LOOP = """
import asyncio, sys, threading, time
from abci import server
from workflow_backend_node import app
from workflow_backend_node.notify import Manager

class App:
    async def start_runtime(self):
        print("starts", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

class Server(server.ABCIServer):
    async def _start(self):
        asyncio.get_running_loop().create_task(self.occupy())
        await super()._start()

    async def occupy(self):
        await asyncio.to_thread(sys.stdin.readline)
        print("occupied", flush=True)
        time.sleep(3)  # other threads run meanwhile
        print("free", flush=True)

app._report_liveness(server, Manager())
Server(App(), sys.argv[1]).run()
"""


def test_event_loop_reports_itself_that_it_is_alive(tmp_path: Path) -> None:
    with (
        Ear(patience=1) as ear,
        subprocess.Popen(
            [sys.executable, "-c", LOOP, str(tmp_path / "app.sock")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **ear.environment},
        ) as program,
    ):
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "starts\n"
        assert ear.hear(0.5) == {}  # it does not listen yet
        program.stdin.write("listen\n")
        ear.wait_for("READY", 5)
        assert (tmp_path / "app.sock").is_socket()
        ear.wait_for("WATCHDOG", 1)
        program.stdin.write("occupy\n")
        assert program.stdout.readline() == "occupied\n"
        ear.forget()
        assert ear.hear(2) == {}
        assert program.stdout.readline() == "free\n"
        ear.wait_for("WATCHDOG", 1)
        program.terminate()
