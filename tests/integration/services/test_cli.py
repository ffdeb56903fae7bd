"""The command line on a real node: what goes wrong is one line that says what to do."""

import json
import signal
import socket
import subprocess

import pytest
from processes import free_port
from xian_py import Wallet

from .stack import Stack, eventually


def run(
    stack: Stack, *arguments: str, limit: list[str] | None = None, **changes: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a service's environment, changed where the test says so."""
    environment = stack.environment(arguments[0])
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return subprocess.run(
        [*(limit or []), stack.command, *arguments],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of a command that must fail, and without a traceback."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


SERVICES = ["processor", "projector", "api"]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_wrong_chain_is_refused_with_both_names(stack: Stack, service: str) -> None:
    line = refusal(run(stack, service, XIAN_CHAIN_ID="other-1"))
    assert "'other-1'" in line
    assert repr(stack.chain_id) in line


async def test_wrong_settings_are_one_line_each(api: Stack) -> None:
    nowhere, state = "http://127.0.0.1:9", str(api.path / "state")
    unreachable = run(api, "projector", XIAN_NODE_URL=nowhere, XIAN_WORKFLOW_STATE_DIR=state)
    assert nowhere in refusal(unreachable)
    assert "XIAN_CHAIN_ID" in refusal(run(api, "projector", XIAN_CHAIN_ID=None))
    for service in ("processor", "api"):
        port = str(free_port())
        done = run(api, service, XIAN_WALLET_PRIVATE_KEY=None, XIAN_WORKFLOW_API_PORT=port)
        assert "XIAN_WALLET_PRIVATE_KEY" in refusal(done)
    wrong = refusal(run(api, "processor", XIAN_WALLET_PRIVATE_KEY="secret"))
    assert "XIAN_WALLET_PRIVATE_KEY" in wrong
    assert "secret" not in wrong
    absent = refusal(run(api, "processor", XIAN_WORKFLOW_CONTRACT="con_absent"))
    assert "con_absent" in absent
    assert "bootstrap" in absent
    stranger = Wallet()
    no_worker = refusal(run(api, "processor", XIAN_WALLET_PRIVATE_KEY=stranger.private_key))
    assert stranger.public_key in no_worker
    outside = refusal(run(api, "api", XIAN_WORKFLOW_API_HOST="192.0.2.1"))
    assert "loopback" in outside


async def test_a_second_writer_with_the_same_wallet_is_refused(api: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    assert "another process writes" in refusal(run(api, "api", XIAN_WORKFLOW_API_PORT=port))


async def test_a_second_projector_is_refused(api: Stack) -> None:
    assert "another projector runs" in refusal(run(api, "projector"))


async def test_a_port_in_use_is_named(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refusal(run(stack, "api", XIAN_WORKFLOW_API_PORT=port))
    assert port in line
    assert "XIAN_WORKFLOW_API_PORT" in line


@pytest.mark.parametrize("service", ["processor", "projector"])
async def test_a_full_disk_is_one_line_and_leaves_nothing_in_the_way(
    stack: Stack, service: str
) -> None:
    # A file that may not grow beyond a page fails as a full disk does, for this process alone.
    line = refusal(run(stack, service, limit=["prlimit", "--fsize=4096", "--"]))
    assert "room on the disk" in line
    stack.start(service)
    heartbeat = stack.path / service / f"{service}.heartbeat.json"

    async def beats() -> bool:
        return heartbeat.exists()

    await eventually(beats, f"the heartbeat of the {service}")
    assert stack.end(service, signal.SIGTERM) == 0


async def test_items_are_submitted_read_and_watched_from_a_shell(running: Stack) -> None:
    def items(*arguments: str, url: str = running.url) -> subprocess.CompletedProcess[str]:
        return run(running, "items", *arguments, XIAN_WORKFLOW_API_URL=url)

    sent = json.loads(items("submit", "shell-1", "https://example.org/1").stdout)
    assert sent["finalized"] is True
    watched = items("watch", "shell-1").stdout.splitlines()
    assert json.loads(watched[-1])["status"] == "completed"
    item = json.loads(items("get", "shell-1").stdout)
    assert item["item"]["result_uri"] == "https://example.org/1"
    listed = json.loads(items("list", "--status", "completed").stdout)
    assert "shell-1" in [row["item_id"] for row in listed["items"]]
    assert "completed" in refusal(items("cancel", "shell-1"))
    assert "404" in refusal(items("get", "shell-2"))
    unknown = items("list", "--status", "lost")
    assert unknown.returncode == 2
    assert "choose from 'submitted'" in unknown.stderr
    nobody = "http://127.0.0.1:9"
    assert nobody in refusal(items("list", url=nobody))


async def test_a_reader_that_goes_away_is_no_error_of_the_disk(running: Stack) -> None:
    await running.submit_many(["pipe-1"], in_flight=1)
    await running.all_completed(["pipe-1"])
    with subprocess.Popen(
        [running.command, "events"],
        env=running.environment("pipe"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as events:
        assert events.stdout is not None
        assert events.stderr is not None
        events.stdout.close()
        assert events.stderr.read() == b""
        assert events.wait(30) == 1
