"""What a node's programs tell systemd of themselves is true, and their logs are JSON."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from manager_harness import Ear
from node_harness import PROGRAMS, Node
from processes import children, descendants, exists, wait_until
from toolchain_harness import Toolchain
from xian_py import Wallet

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()
PATIENCE = 1.0  # a sign of life four times a second
SILENCE = 3 * PATIENCE


@pytest.fixture(scope="module")
def managed() -> Iterator[Node]:
    """A node of this module's own; a test gives it ears and starts what it looks at again."""
    with Node(Toolchain(), "managed-1") as node:
        node.deploy("con_odd", ODD)
        yield node


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear(PATIENCE) as listening:
        yield listening


def begin(node: Node, ear: Ear, name: str) -> None:
    """Start a program again that has the ear."""
    node.environment = {name: ear.environment}
    if name == "postgres":
        node.start("postgres")
    else:  # neither of the two stays without the other
        node.kill("cometbft")
        node.kill("abci")
        node.start("abci", *(["cometbft"] if name == "cometbft" else []))


def silent(ear: Ear, fact: str) -> bool:
    """Whether nothing like the fact is said for much longer than the manager is patient."""
    ear.forget()
    try:
        ear.wait_for(fact, SILENCE)
    except AssertionError:
        return True
    return False


def test_app_is_ready_when_it_listens_and_lives_with_its_loop(managed: Node, ear: Ear) -> None:
    node = managed
    node.kill("postgres")
    begin(node, ear, "abci")
    ear.wait_for("STATUS=waits for the index's database", 10)
    with pytest.raises(AssertionError):
        ear.wait_for("READY", 1)  # it can't listen: there is no database
    node.start("postgres")
    ear.wait_for("READY", 30)
    assert listens(node)
    ear.wait_for("WATCHDOG", 10)
    node.start("cometbft")
    node.wait_ready()
    # Stopped, none of its threads runs; and it is the only one that could speak for it.
    os.kill(node.pid("abci"), signal.SIGSTOP)
    assert silent(ear, "WATCHDOG")
    os.kill(node.pid("abci"), signal.SIGCONT)
    ear.wait_for("WATCHDOG", 10)
    assert ear.speakers == {node.pid("abci")}
    os.kill(node.pid("abci"), signal.SIGTERM)
    ear.wait_for("STOPPING", 5)
    wait_until(lambda: not node.running("abci"), 10, "the app has ended")
    node.start("abci", "cometbft")
    node.wait_ready()


def listens(node: Node) -> bool:
    table = Path("/proc/net/unix").read_text()
    return any(line.endswith(f" {node.folder}/abci.sock") for line in table.splitlines())


def test_cometbft_is_ready_when_its_rpc_answers(managed: Node, ear: Ear) -> None:
    node = managed
    begin(node, ear, "cometbft")
    ear.wait_for("READY", 30)
    assert node.height() >= 1
    node.wait_ready()
    node.broadcast("con_odd", "store", {"key": "k", "value": "v"}, wallet=Wallet())
    height = node.height()
    ear.forget()
    status = ear.wait_for("WATCHDOG", 10)[-1]["STATUS"]
    assert int(status.removeprefix("block ")) >= height
    os.kill(node.child("cometbft"), signal.SIGSTOP)
    ear.wait_for("STATUS=the RPC does not answer", 10)
    assert silent(ear, "WATCHDOG")
    os.kill(node.child("cometbft"), signal.SIGCONT)
    ear.wait_for("WATCHDOG", 10)
    assert ear.speakers == {node.pid("cometbft")}
    os.kill(node.pid("cometbft"), signal.SIGTERM)
    ear.wait_for("STOPPING", 5)
    wait_until(lambda: not node.running("cometbft"), 10, "CometBFT has ended")
    wait_until(lambda: not node.running("abci"), 10, "and its app with it")
    node.start("abci", "cometbft")
    node.wait_ready()


def test_postgresql_is_ready_when_it_accepts_connections(managed: Node, ear: Ear) -> None:
    node = managed
    begin(node, ear, "postgres")
    ear.wait_for("READY", 30)
    node.postgres("psql", "-c", "SELECT 1")
    ear.wait_for("WATCHDOG", 10)
    os.kill(node.child("postgres"), signal.SIGSTOP)
    ear.wait_for("STATUS=does not answer", 10)
    assert silent(ear, "WATCHDOG")
    os.kill(node.child("postgres"), signal.SIGCONT)
    ear.wait_for("WATCHDOG", 10)
    assert ear.speakers == {node.pid("postgres")}
    node.wait_ready()


def test_recovery_is_a_sign_of_life(managed: Node, ear: Ear) -> None:
    node = managed
    begin(node, ear, "postgres")
    ear.wait_for("READY", 30)
    victim = children(node.child("postgres"))[0]
    os.kill(victim, signal.SIGKILL)  # PostgreSQL sends all clients away and recovers by itself
    ear.forget()
    ear.wait_for("WATCHDOG", 10)
    assert node.running("postgres")
    node.wait_ready()


@pytest.mark.parametrize("asked", ["launcher", "everybody"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_postgresql_is_closed_in_order(
    managed: Node, ear: Ear, asked: str, how: signal.Signals
) -> None:
    node = managed
    begin(node, ear, "postgres")
    ear.wait_for("READY", 30)
    client = node.open_postgres("psql", "-c", "SELECT pg_sleep(600)")
    launcher = node.pid("postgres")
    wait_until(lambda: any(map(sleeps, descendants(launcher))), 5, "a client is served")
    begun = len(node.log("postgres"))
    others = descendants(launcher)
    for process in [launcher, *(others if asked == "everybody" else [])]:
        with suppress(ProcessLookupError):  # it has ended because an earlier one was asked
            os.kill(process, how)
    ear.wait_for("STOPPING", 5)
    wait_until(lambda: not node.running("postgres"), 20, "PostgreSQL has ended")
    assert "database system is shut down" in node.log("postgres")[begun:]
    assert not any(map(exists, others))
    assert client.communicate(timeout=5)
    assert client.returncode != 0
    starts_without_recovery(node)


def sleeps(pid: int) -> bool:
    try:
        return "SELECT" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False  # it has just ended


def starts_without_recovery(node: Node) -> None:
    begun = len(node.log("postgres"))
    node.start("postgres")
    wait_until(lambda: "ready to accept" in node.log("postgres")[begun:], 20, "PostgreSQL started")
    assert "database system was shut down at" in node.log("postgres")[begun:]


def test_postgresql_is_closed_in_order_without_its_launcher(managed: Node) -> None:
    node = managed
    begun = len(node.log("postgres"))
    launcher = node.pid("postgres")
    family = descendants(launcher)
    os.kill(launcher, signal.SIGKILL)
    wait_until(lambda: not any(map(exists, family)), 20, "PostgreSQL has ended")
    wait_until(
        lambda: "database system is shut down" in node.log("postgres")[begun:], 5, "its last words"
    )
    starts_without_recovery(node)


def test_second_postgresql_does_not_speak_for_the_first(managed: Node, ear: Ear) -> None:
    node = managed
    command = [*node.toolchain.as_account, *node.command("postgres")]
    done = subprocess.run(
        command,
        env={**os.environ, **ear.environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "postmaster.pid" in done.stderr
    assert ear.hear(0) == {}
    assert node.running("postgres")


def test_log_lines_are_all_entries(managed: Node) -> None:
    node = managed
    node.broadcast("con_odd", "store", {"key": "n", "value": "9e999999"}, wallet=Wallet())
    wait_until(node.index_level, 10, "index level with the chain")
    time.sleep(0.5)
    for name in PROGRAMS:
        entries = [json.loads(line) for line in node.log(name).splitlines()]
        assert len(entries) > 5
        for entry in entries:
            assert (
                {"time", "level", "logger", "message"}
                <= entry.keys()
                <= {*("time", "level", "logger", "message", "fields", "exception")}
            )
            assert entry["level"] in ("debug", "info", "warning", "error", "critical")
        plain = [e for e in entries if e["logger"] == name and "fields" not in e]
        assert len(plain) < len(entries) / 2
