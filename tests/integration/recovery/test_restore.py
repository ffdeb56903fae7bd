"""A node that lost its state, its index or both comes back from a snapshot, or as it was."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_harness import running_node
from processes import wait_until

from .host import CONTRACT, Host, ready


@pytest.fixture(scope="module")
def made(host: Host) -> dict[str, Any]:
    """A snapshot, and three items after it."""
    made = host.make()
    host.submit(3)
    wait_until(host.node.index_level, 20, "an index that is level")
    return made


def phase(host: Host) -> str | None:
    under_way = host.ask("status", host.programs)["restore"]
    return str(under_way["phase"]) if under_way else None


def items(host: Host) -> int:
    return len(host.node.query(f"/keys/{CONTRACT}.items:/limit=200")["items"])


def test_lost_state_and_index_come_back(host: Host, made: dict[str, Any]) -> None:
    before, events = items(host), len(host.node.events(CONTRACT, "ItemSubmitted"))
    height = host.node.height()
    host.stop()
    host.lose_state()
    host.lose_index()
    host.projection.unlink()
    prepared = host.ask("prepare", host.restore(made))
    assert prepared["blocks"]["running"] is False
    assert prepared["restore"]["index"] is not None
    assert prepared["restore"]["had_state"] is False
    assert host.ask("swap", host.programs)["restore"]["phase"] == "swapped"
    assert "does not answer" in host.refusal("finish", host.programs)
    host.start()
    host.ask("finish", host.programs)
    assert host.node.height() >= height
    assert items(host) == before
    assert len(host.node.events(CONTRACT, "ItemSubmitted")) == events
    restored = host.ask("projection", host.request(made))
    assert restored["restored"] is True
    behind = host.ask("levels", {"seconds": 0})
    assert behind["level"] is False
    assert behind["gap"] is None
    assert "the projection is at height" in behind["reasons"][0]
    host.project()
    level = host.ask("levels", {})
    assert level["level"] is True
    assert host.verify_projection()["differences"] == 0
    assert host.ask("projection", host.request(made))["restored"] is False


def test_better_index_is_not_given_up(host: Host, made: dict[str, Any]) -> None:
    before = {path.name for path in (host.node.home.parent).iterdir()}
    host.stop()
    prepared = host.ask("prepare", host.restore(made))
    assert prepared["restore"]["index"] is None
    assert prepared["restore"]["had_state"] is True
    host.ask("swap", host.programs)
    host.start()
    host.ask("finish", host.programs)
    assert (host.node.home.parent / "xian.before-restore" / "lmdb").is_dir()
    assert {path.name for path in (host.node.home.parent).iterdir()} - before <= {
        "xian.before-restore"
    }
    host.submit(1)


def test_restore_that_does_not_become_healthy_is_undone(host: Host, made: dict[str, Any]) -> None:
    before, height = items(host), host.node.height()
    host.stop()
    host.ask("prepare", host.restore(made, index="always"))
    host.ask("swap", host.programs)
    (host.node.home / "xian" / "lmdb" / "data.mdb").write_bytes(b"broken" * 9999)
    host.node.start("abci", "cometbft")
    wait_until(lambda: not host.node.running("abci"), 20, "an app that can't start")
    host.stop()
    assert "does not answer" in host.refusal("finish", host.programs)
    host.ask("undo", host.programs)
    assert phase(host) is None
    host.start()
    assert host.node.height() >= height
    assert items(host) == before
    host.submit(1)
    wait_until(host.node.index_level, 20, "an index that is level")
    assert host.ask("levels", {"projection": False})["level"] is True


@pytest.fixture(scope="class")
def stopped(host: Host, made: dict[str, Any]) -> Iterator[None]:
    """The node is stopped for the tests of a class, and then has all that it had."""
    del made  # is made while the node runs
    before = items(host)
    host.stop()
    yield
    host.start()
    assert items(host) == before
    assert host.ask("levels", {"projection": False})["level"] is True
    host.submit(1)


@pytest.mark.usefixtures("stopped")
class TestStopped:
    """What goes wrong while the node is stopped leaves it as it was."""

    def test_kill_in_the_middle_is_finished_or_undone(
        self, host: Host, made: dict[str, Any]
    ) -> None:
        killed = set()
        for round_, delay in enumerate((0.0, 0.1, 0.2)):
            host.ask("prepare", host.restore(made, index="always"))
            killed.add(self.swap_killed_after(host, delay))
            if round_ == 1:
                assert host.ask("swap", host.programs)["restore"]["phase"] == "swapped"
            host.ask("undo", host.programs)
            assert phase(host) is None
        assert "swapping" in killed

    def swap_killed_after(self, host: Host, delay: float) -> str | None:
        """Kill a swap so long after it has begun; return how far the journal says it came."""
        journal = host.node.home.parent / "restore" / "journal.json"
        process = subprocess.Popen(
            host.command("snapshots", "swap"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=host.environment,
            cwd=host.node.folder,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(host.programs).encode())
        process.stdin.close()

        def begun() -> bool:
            return bool(json.loads(journal.read_text())["phase"] != "prepared")

        wait_until(begun, 20, "a swap that has begun")
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        cut_short = phase(host)
        if cut_short == "swapping":
            host.node.start("abci")
            wait_until(lambda: not host.node.running("abci"), 20, "an app that does not start")
            assert "was cut short while it was swapping" in host.node.log("abci")
        return cut_short

    @pytest.mark.parametrize("garbled", ["", "{}", "\0" * 50])
    def test_garbled_signing_state_is_named_and_its_runbook_heals_it(
        self, host: Host, made: dict[str, Any], garbled: str
    ) -> None:
        state = host.node.home / "data" / "priv_validator_state.json"
        height = json.loads(state.read_text())["height"]
        state.write_text(garbled)
        reason = host.refusal("prepare", host.restore(made))
        assert str(state) in reason
        assert "docs/runbooks.md" in reason
        assert phase(host) is None
        state.write_text(json.dumps({"height": height, "round": 0, "step": 3}))
        host.ask("prepare", host.restore(made))
        host.ask("undo", host.programs)

    def test_dump_that_was_changed_since_is_not_loaded(
        self, host: Host, made: dict[str, Any]
    ) -> None:
        copy = host.forged(made, "changed")
        host.ask("prepare", host.restore(copy, index="always"))
        dump = Path(copy["snapshot"]) / "index.dump"
        content = bytearray(dump.read_bytes())
        content[len(content) // 2] ^= 1
        dump.write_bytes(content)
        assert "index.dump has the sum" in host.refusal("swap", host.programs)
        host.ask("undo", host.programs)


def test_index_of_another_chain_is_replaced(host: Host, made: dict[str, Any]) -> None:
    host.stop()
    host.node.postgres("psql", "-c", "UPDATE blocks SET block_hash = md5(block_hash)")
    prepared = host.ask("prepare", host.restore(made))
    assert prepared["restore"]["index"]["height"] == made["manifest"]["index"]["height"]
    host.ask("swap", host.programs)
    host.start()
    host.ask("finish", host.programs)
    assert host.ask("levels", {"projection": False})["level"] is True


def test_projection_in_postgresql_is_part_of_it(host: Host) -> None:
    host.node.postgres("createdb", "projection")
    dsn = host.node.dsn.replace("///xian?", "///projection?")
    host.extra["XIAN_WORKFLOW_PROJECTION_DSN"] = dsn
    try:
        host.project()
        made = host.make()
        assert "projection.dump" in made["manifest"]["files"]
        report = host.ask(
            "drill",
            {
                **host.request(made),
                "scratch": str(host.node.folder / "scratch"),
                "node_python": host.programs["node_python"],
                "contract": CONTRACT,
            },
        )
        assert report["projection"]["items"] == report["state"]["items"] == items(host)
        drop = "DROP SCHEMA workflow_projection CASCADE"
        host.node.postgres("psql", "--dbname=projection", "-c", drop)
        for _ in range(2):
            restored = host.ask("projection", host.request(made, always=True))
            assert restored["restored"] is True
            assert host.verify_projection()["differences"] == 0
    finally:
        host.extra.clear()


def test_blocks_that_nobody_has_any_more_are_named() -> None:
    with running_node("recovery-2", keep_blocks=10) as node:
        host = ready(node, 25)

        def pruned() -> int:
            base = int(node.rpc("status")["sync_info"]["earliest_block_height"])
            return base if base > 5 else 0

        base = wait_until(pruned, 20, "a store that is pruned")
        made = host.make()
        host.stop()
        host.lose_index()
        node.start("abci", "cometbft")
        found = host.ask("levels", {"projection": False})
        assert found["level"] is False
        assert found["gap"]["first"] == 1
        assert found["gap"]["last"] >= base - 1
        assert "restore an index that has those" in found["gap"]["what"]
        host.stop()
        assert host.ask("prepare", host.restore(made))["restore"]["index"] is not None
        host.ask("swap", host.programs)
        host.start()
        host.ask("finish", host.programs)
        assert host.ask("levels", {"projection": False})["level"] is True
        too_old = host.make()
        host.submit(12)
        assert "those between are missing" in host.refusal("prepare", host.restore(too_old))
        shutil.rmtree(too_old["snapshot"])
