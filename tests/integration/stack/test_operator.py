"""The operator's way: deploy, rehearse, ask, break, start again; and what is killed comes back."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes import wait_until
from toolchain_harness import Toolchain

from workflow_backend.errors import WorkflowError
from workflow_backend_client import Client

from .deployed import PROGRAMS, SERVICES, STRAY, Deployed
from .tutorial import commands as tutorial_commands

ODD = (Path(__file__).parents[1] / "node" / "con_odd.s.py").read_text()


@pytest.fixture(scope="module")
def deployed(toolchain: Toolchain) -> Iterator[Deployed]:
    stack = Deployed(toolchain)
    try:
        stack.deploy_all()
        stack.deploy("con_odd", ODD)
        yield stack
    finally:
        stack.close()


def findings(stack: Deployed) -> dict[str, dict[str, str]]:
    """The checks of the last health report that are not well, by name.

    Little room where the tests keep their data is a finding too, and none of theirs.
    """
    report = json.loads(stack.report.read_text())
    return {
        check["name"]: check
        for check in report["checks"]
        if check["state"] != "ok" and (check["name"], check["state"]) != ("disk", "warning")
    }


def test_the_first_item_went_through_the_whole_backend(deployed: Deployed) -> None:
    item = Client(deployed.api_url).get("first-item")
    assert item["projection"]
    assert item["item"]["status"] == item["projection"]["status"] == "completed"


def test_tutorial_does_what_it_says(deployed: Deployed, tmp_path: Path) -> None:
    """Each of its commands ends well, but for the one that shows what is broken."""
    for command in tutorial_commands(Path(__file__)):
        number = str(deployed.pid("projector"))
        line = command.replace("15470", number).replace("http://127.0.0.1:8000", deployed.api_url)
        done = subprocess.run(
            ["bash", "-c", f". {deployed.folder / 'env'} && {line}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        output = done.stdout + done.stderr
        if line.startswith("sleep"):
            assert (done.returncode, f"kill -CONT {number}" in output) == (1, True), output
        else:
            ended = 124 if line.startswith("timeout") else 0
            assert done.returncode == ended, f"{line}\n{output}"


def test_a_second_run_changes_nothing(deployed: Deployed) -> None:
    before = deployed.pids()
    done = deployed.play("dev", "--diff")
    assert re.search(r"changed=0 .*failed=0", done.stdout), done.stdout + done.stderr
    assert deployed.pids() == before


def strays(stack: Deployed) -> dict[int, list[str]]:
    """The settings of the shell that each process of the stack inherited."""
    marks = [os.fsencode(f"{name}={value}") for name, value in STRAY.items()]
    found = {}
    for pid in stack.processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        found[pid] = [os.fsdecode(entry) for entry in environment if entry in marks]
    return found


def test_no_program_inherits_the_settings_of_a_shell(deployed: Deployed) -> None:
    found = strays(deployed)
    assert len(found) > len(PROGRAMS)
    assert set(map(tuple, found.values())) == {()}


def test_programs_that_inherited_some_are_started_anew(deployed: Deployed) -> None:
    os.kill(deployed.supervisor(), signal.SIGTERM)
    wait_until(lambda: not deployed.processes(), 90, "programs gone")
    configuration = deployed.data / "supervisor" / "supervisord.conf"
    command = [*deployed.toolchain.as_account, deployed.toolchain["supervisord"]]
    subprocess.run(
        [*command, "-c", str(configuration)],
        cwd=deployed.data,
        env=os.environ | STRAY,
        check=True,
    )
    wait_until(lambda: deployed.pid("postgres"), 30, "programs run")
    before = deployed.pids()
    assert strays(deployed)[before["postgres"]]
    rehearsed = deployed.play("dev", "--check")
    assert re.search(r"changed=1 .*failed=0", rehearsed.stdout), rehearsed.stdout
    assert deployed.pid("postgres") == before["postgres"]
    done = deployed.play("dev")
    assert re.search(r"changed=1 .*failed=0", done.stdout), done.stdout + done.stderr
    assert not set(deployed.pids().values()) & set(before.values())
    assert set(map(tuple, strays(deployed).values())) == {()}


def test_an_interrupted_update_goes_on(deployed: Deployed) -> None:
    """Files that are as they should be say nothing of what runs."""
    definition = deployed.data / "supervisor" / "conf.d" / "services.conf"
    written = definition.read_text()
    definition.write_text(written.replace('WORKFLOW_REVISION="', 'WORKFLOW_REVISION="0'))
    control = [*deployed.toolchain.as_account, deployed.toolchain["supervisorctl"]]
    control += ["-c", str(deployed.data / "supervisor" / "supervisord.conf")]
    subprocess.run([*control, "update", "api"], check=True, stdout=subprocess.DEVNULL)
    definition.write_text(written)  # another run wrote this and was cut
    before = deployed.pids()
    rehearsed = deployed.play("dev", "--check")
    assert re.search(r"changed=[1-9] .*failed=0", rehearsed.stdout), rehearsed.stdout
    assert deployed.pids() == before
    done = deployed.play("dev")
    assert re.search(r"changed=1 .*failed=0", done.stdout), done.stdout + done.stderr
    after = deployed.pids()
    assert {name for name in PROGRAMS if after[name] != before[name]} == {"api"}


def test_another_build_starts_what_runs_from_it_anew(deployed: Deployed) -> None:
    """As after a pull that changes no more than locked requirements, or the interpreter."""
    before = deployed.pids()
    deployed.variables["toolchain"]["services_build"] = "another"
    done = deployed.play("dev")
    assert done.returncode == 0, done.stdout + done.stderr
    after = deployed.pids()
    assert {name for name in PROGRAMS if after[name] != before[name]} == set(SERVICES)


def test_a_rehearsal_tells_what_would_change(deployed: Deployed) -> None:
    before = deployed.pids()
    done = deployed.play("dev", "--check", "--diff", xian_node_max_pending_nonces=64)
    assert "+max_pending_nonces_per_sender = 64" in done.stdout
    assert re.search(r"changed=[1-9]\d* .*failed=0", done.stdout), done.stdout + done.stderr
    assert deployed.pids() == before
    done = deployed.play("dev", "--check")
    assert re.search(r"changed=0 .*failed=0", done.stdout), done.stdout + done.stderr


def test_everything_runs_unprivileged_and_private(deployed: Deployed) -> None:
    uid = deployed.toolchain.account.pw_uid
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in deployed.pids().values()} == {uid}
    home = deployed.data / "node" / ".cometbft"
    assert home.stat().st_mode & 0o777 == 0o700
    folders = [deployed.data, home / "config", deployed.data / "credentials"]
    assert [f for folder in folders for f in folder.iterdir() if f.stat().st_mode & 0o077] == []
    assert (deployed.folder / "env").stat().st_mode & 0o777 == 0o600


def test_a_stopped_projector_is_a_finding_until_it_goes_on(deployed: Deployed) -> None:
    pid = deployed.pid("projector")
    os.kill(pid, signal.SIGSTOP)
    try:
        done = deployed.play("health")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode != 0
    assert f"kill -CONT {pid}" in done.stdout
    assert "stopped by a signal" in findings(deployed)["projector"]["what"]

    done = deployed.play("health")
    assert done.returncode == 0, done.stdout + done.stderr
    assert findings(deployed) == {}


def test_services_killed_while_items_flow_come_back_and_each_item_ends_once(
    deployed: Deployed,
) -> None:
    ids = [f"flow-{number}" for number in range(200)]
    before = deployed.pids()
    client = Client(deployed.api_url)
    answered = Counter[str]()
    over = threading.Event()

    def post(item_id: str) -> None:
        while not over.is_set():
            try:
                client.submit(item_id, f"https://example.org/{item_id}")
            except WorkflowError:
                over.wait(0.2)  # the API was killed; the same request again has the same answer
            else:
                answered[item_id] += 1
                return

    with ThreadPoolExecutor(50) as in_flight:
        try:
            flow = [in_flight.submit(post, item_id) for item_id in ids]
            for share, name in enumerate(SERVICES):

                def some_more(share: int = share) -> bool:
                    return len(answered) > 40 * share

                wait_until(some_more, 60, "items flow")
                os.kill(before[name], signal.SIGKILL)
                assert len(answered) < len(ids)
            for answer in flow:
                answer.result(timeout=60)
        finally:
            over.set()
    wait_until(
        lambda: all(deployed.pid(name) not in (0, before[name]) for name in SERVICES),
        60,
        "every service is back",
    )

    def completed() -> Counter[str]:
        found = deployed.events("con_job_workflow", "ItemCompleted")
        return Counter(str(json.loads(event["data_indexed"])["item_id"]) for event in found)

    wait_until(lambda: set(ids) <= set(completed()), 90, "every item is completed")
    assert set(completed().values()) == {1}

    def listed() -> list[str]:
        items = client.list_items(status="completed", limit=500)["items"]
        return sorted(item["item_id"] for item in items if item["item_id"] in ids)

    wait_until(lambda: len(listed()) >= len(ids), 60, "the projection is level")
    assert listed() == sorted(ids)


@pytest.mark.parametrize("name", ["postgres", "abci", "cometbft", "the CometBFT inside cometbft"])
def test_a_node_killed_under_traffic_comes_back(deployed: Deployed, name: str) -> None:
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
    assert all(deployed.pids().values())
    keys = {json.loads(e["data_indexed"])["key"] for e in deployed.events("con_odd", "Stored")}
    assert set(sent) <= keys


def test_a_service_that_does_not_start_says_why_where_the_deployment_fails(
    deployed: Deployed, tmp_path: Path
) -> None:
    handlers = tmp_path / "handlers.toml"
    handlers.write_text('[job]\nhandler = "command"\nargv = ["/no/such"]\n')
    done = deployed.play(
        "deploy", workflow_services_handlers=str(handlers), workflow_services_ready_seconds=1
    )
    assert done.returncode != 0
    _, failure = done.stdout.split("\nfatal: ")
    assert "handlers: " in failure
    assert "/no/such" in failure
    assert "serving on" not in failure  # what the others said last is no reason
    done = deployed.play("deploy")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_restart_says_what_it_means_and_loses_no_claim(deployed: Deployed) -> None:
    before = deployed.pids()
    plan = deployed.play("restart", plan_only=True)
    assert "no other validator than localhost: the chain stands still meanwhile" in plan.stdout
    assert deployed.pids() == before

    api = Client(deployed.api_url)
    items = [f"restarted-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: api.submit(item, "urn:test"), items))
    done = deployed.play("restart")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not set(deployed.pids().values()) & set(before.values())
    for item in items:
        *_, last = api.watch(item, seconds=30)  # nobody's lease had to pass
        assert (last["status"], last["attempt"]) == ("completed", 1)
    steps = json.loads((deployed.folder / "changes.json").read_text())["steps"]
    assert [step["step"] for step in steps][-3:] == ["check-quorum", "wait-healthy", "note"]


def test_without_supervisor_nothing_runs_and_start_brings_all_back(deployed: Deployed) -> None:
    before = deployed.pids()
    os.kill(deployed.supervisor(), signal.SIGKILL)
    wait_until(lambda: not deployed.processes(), 60, "programs gone")
    shutil.rmtree(deployed.run)  # as a machine that has just booted has none
    stopped, status = deployed.play("stop"), deployed.play("status")
    assert re.search(r"changed=0 .*failed=0", stopped.stdout), stopped.stdout + stopped.stderr
    assert "supervisor does not run" in status.stdout
    assert status.returncode == 0, status.stdout + status.stderr

    done = deployed.play("start")
    assert done.returncode == 0, done.stdout + done.stderr
    after = deployed.pids()
    assert all(after.values())
    assert not set(after.values()) & set(before.values())
    output = deployed.play("status").stdout
    assert all(re.search(rf"\b{name} +RUNNING", output) for name in PROGRAMS), output


def test_every_line_of_the_logs_is_an_entry_after_all_that(deployed: Deployed) -> None:
    for name in PROGRAMS:
        lines = (deployed.data / "logs" / f"{name}.log").read_text().splitlines()
        assert lines
        for line in lines:
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
