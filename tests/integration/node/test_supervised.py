"""What the roles deploy comes back by itself, and a second run changes nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_harness import REPO, Client, Toolchain, free_port, wait_until

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()
PROGRAMS = ("postgres", "abci", "cometbft")


class Deployed(Client):
    """A node that the playbooks of this repository deployed, in a folder of its own."""

    def __init__(self, toolchain: Toolchain) -> None:
        self.toolchain = toolchain
        self.folder = toolchain.folder()
        self.chain_id = "deployed-1"
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self.variables: dict[str, Any] = {
            "toolchain": {
                **{name: text for name, text in toolchain.record.items() if name != "versions"},
                "data": str(self.folder / "data"),
                "run": str(self.folder / "run"),
            },
            "xian_network_directory": str(self.folder / "network"),
            "xian_network_chain_id": self.chain_id,
            "xian_node_rpc_address": address,
            "xian_node_p2p_address": f"127.0.0.1:{free_port()}",
            "xian_node_metrics_address": f"127.0.0.1:{free_port()}",
            "xian_node_cometbft_metrics_address": f"127.0.0.1:{free_port()}",
        }
        for name in ("data", "run"):
            (self.folder / name).mkdir(mode=0o700)
            os.chown(self.folder / name, toolchain.account.pw_uid, toolchain.account.pw_gid)

    def play(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        file = self.folder / "variables.json"
        file.write_text(json.dumps(self.variables | variables))
        return subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")),
                *("-i", "inventories/dev", "-e", f"@{file}"),
                *("playbooks/prepare-network.yml", "tests/integration/node/deploy-node.yml"),
                *arguments,
            ],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(REPO / "ansible.cfg")},
        )

    def supervisorctl(self, *arguments: str) -> str:
        configuration = self.folder / "data" / "supervisor" / "supervisord.conf"
        command = [*self.toolchain.as_account, self.toolchain["supervisorctl"]]
        command += ["-c", str(configuration)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        return done.stdout

    def pid(self, name: str) -> int:
        """The process id, 0 while the program is down."""
        return int(self.supervisorctl("pid", name) or 0)

    def close(self) -> None:
        pidfile = self.folder / "run" / "supervisord.pid"
        if pidfile.exists():
            pid = int(pidfile.read_text())
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not Path(f"/proc/{pid}").exists(), 60, "supervisord gone")
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def deployed(toolchain: Toolchain) -> Iterator[Deployed]:
    stack = Deployed(toolchain)
    try:
        done = stack.play()
        assert done.returncode == 0, done.stdout + done.stderr
        stack.operator_key = json.loads((stack.folder / "network" / "operator.json").read_text())[
            "private_key"
        ]
        stack.deploy("con_odd", ODD)
        yield stack
    finally:
        stack.close()


def test_a_second_run_changes_nothing(deployed: Deployed) -> None:
    before = {name: deployed.pid(name) for name in PROGRAMS}
    done = deployed.play("--diff")
    assert re.search(r"changed=0 .*failed=0", done.stdout), done.stdout + done.stderr
    assert {name: deployed.pid(name) for name in PROGRAMS} == before


def test_a_rehearsal_tells_what_would_change(deployed: Deployed) -> None:
    before = {name: deployed.pid(name) for name in PROGRAMS}
    done = deployed.play("--check", "--diff", xian_node_max_pending_nonces=64)
    assert "+max_pending_nonces_per_sender = 64" in done.stdout
    assert re.search(r"changed=[1-9]\d* .*failed=0", done.stdout), done.stdout + done.stderr
    assert {name: deployed.pid(name) for name in PROGRAMS} == before
    assert re.search(r"changed=0 .*failed=0", deployed.play("--check").stdout)


def test_everything_runs_unprivileged_and_private(deployed: Deployed) -> None:
    uid = deployed.toolchain.account.pw_uid
    for name in PROGRAMS:
        assert Path(f"/proc/{deployed.pid(name)}").stat().st_uid == uid
    data = deployed.folder / "data"
    assert [f.name for f in data.iterdir() if f.stat().st_mode & 0o077] == []
    home = data / "node" / ".cometbft"
    assert home.stat().st_mode & 0o777 == 0o700
    config = [f for f in (home / "config").iterdir() if f.stat().st_mode & 0o077]
    assert config == []


def test_nothing_outlives_supervisor(deployed: Deployed) -> None:
    pids = [deployed.pid(name) for name in PROGRAMS]
    os.kill(int((deployed.folder / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 30, "programs gone")
    done = deployed.play()
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(deployed.pid(name) not in (0, *pids) for name in PROGRAMS)


@pytest.mark.parametrize("name", [*PROGRAMS, "the CometBFT inside cometbft"])
def test_killed_under_traffic_everything_comes_back(deployed: Deployed, name: str) -> None:
    program = name.rsplit(maxsplit=1)[-1]
    sent: list[str] = []
    done = threading.Event()

    def traffic() -> None:
        while not done.is_set():
            mark = f"{name}-{len(sent)}"
            try:
                deployed.broadcast("con_odd", "store", {"key": mark, "value": "v"})
            except OSError:
                done.wait(0.2)  # the node is down
            else:
                sent.append(mark)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        wait_until(lambda: len(sent) >= 5, 30, "traffic")
        old = deployed.pid(program)
        child = Path(f"/proc/{old}/task/{old}/children").read_text().split()
        os.kill(old if name == program else int(child[0]), signal.SIGKILL)
        wait_until(lambda: deployed.pid(program) not in (0, old), 60, f"{name} is back")
        after = len(sent)
        wait_until(lambda: len(sent) >= after + 5, 60, "traffic goes on")
    finally:
        done.set()
        thread.join()
    deployed.wait_ready()
    assert all(deployed.pid(name) for name in PROGRAMS)
    keys = {json.loads(e["data_indexed"])["key"] for e in deployed.events("con_odd", "Stored")}
    assert set(sent) <= keys


def test_every_line_of_the_logs_is_an_entry_after_all_that(deployed: Deployed) -> None:
    for name in PROGRAMS:
        lines = (deployed.folder / "data" / "logs" / f"{name}.log").read_text().splitlines()
        assert lines
        for line in lines:
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
