"""Bootstrap, health, smoke and status as a person runs them, against a real node and services."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from xian_py import Wallet

from .stack import CONTRACT_SOURCE, Stack, eventually, fresh_stack

COMMAND = Path(sys.executable).with_name("workflow-backend")


def run(environment: dict[str, str], *arguments: str, stdin: str = "") -> Any:
    """Run the command with no more than the environment given."""
    return subprocess.run(
        [COMMAND, *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run a command that must succeed; return its JSON."""
    done = run(environment, *arguments)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def refusal(environment: dict[str, str], *arguments: str, stdin: str = "") -> str:
    """Run a command that must fail; return the one line that it says why in."""
    done = run(environment, *arguments, stdin=stdin)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return str(line)


def environment_of(stack: Stack, node: Any) -> dict[str, str]:
    """What an operator's shell has."""
    return {
        "XIAN_NODE_URL": stack.node_url,
        "XIAN_CHAIN_ID": stack.chain_id,
        "XIAN_WALLET_PRIVATE_KEY": node.operator_key,
        "XIAN_WORKFLOW_CONTRACT": stack.contract,
        "XIAN_WORKFLOW_CONTRACT_SOURCE": str(CONTRACT_SOURCE),
        "XIAN_WORKFLOW_WORKERS": stack.worker,
    }


def watching(stack: Stack, node: Any) -> dict[str, str]:
    """The same, with everything that health has to look at."""
    services = ("processor", "projector", "api")
    return environment_of(stack, node) | {
        "XIAN_WORKFLOW_API_URL": stack.url,
        "XIAN_WORKFLOW_PROJECTION_PATH": str(stack.path / "projection.sqlite3"),
        "XIAN_WORKFLOW_SERVICES": ",".join(f"{name}={stack.path / name}" for name in services),
    }


@pytest.fixture
async def api(node: Any, tmp_path: Path) -> AsyncIterator[Stack]:
    """API and projector, no processor."""
    async with fresh_stack(node, tmp_path) as stack:
        stack.start("projector", "api")
        await stack.ready()
        yield stack


@pytest.fixture
async def running(api: Stack) -> Stack:
    """All services, each with its first heartbeat."""
    api.start("handlers", "processor")

    async def beats() -> bool:
        return (api.path / "processor" / "processor.heartbeat.json").exists()

    await eventually(beats, "the processor's heartbeat")
    return api


class TestBootstrap:
    @pytest.fixture
    def environment(self, node: Any, tmp_path: Path) -> dict[str, str]:
        stack = Stack(node.url, node.chain_id, f"con_{os.urandom(6).hex()}", tmp_path)
        return environment_of(stack, node) | {"XIAN_WORKFLOW_ITEM_ID": "first"}

    def test_it_does_what_is_missing_and_nothing_twice(self, environment: dict[str, str]) -> None:
        rehearsed = answer(environment, "bootstrap", "--check")
        done = answer(environment, "bootstrap")
        assert rehearsed == done
        assert done["changed"] is True
        assert done["deployed"] is True
        assert done["workers_added"] == [environment["XIAN_WORKFLOW_WORKERS"]]
        assert done["item_submitted"] == "first"
        again = answer(environment, "bootstrap")
        assert again == answer(environment, "bootstrap", "--check")
        assert again["changed"] is False
        assert (again["deployed"], again["workers_added"], again["item_submitted"]) == (
            False,
            [],
            None,
        )

    def test_another_source_under_the_name_is_refused(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        answer(environment, "bootstrap")
        other = tmp_path / "other.s.py"
        other.write_text(CONTRACT_SOURCE.read_text().replace("MAX_BATCH = ", "MAX_BATCH = 1"))
        assert "another source" in refusal(
            environment, "bootstrap", "--contract-source", str(other)
        )
        same = tmp_path / "same.s.py"
        same.write_text(CONTRACT_SOURCE.read_text() + "\n\n# only a comment\n")
        report = answer(environment, "bootstrap", "--contract-source", str(same))
        assert report["changed"] is False

    def test_only_the_operator_may_add_workers(self, environment: dict[str, str]) -> None:
        answer(environment | {"XIAN_WORKFLOW_WORKERS": ""}, "bootstrap")
        stranger = environment | {"XIAN_WALLET_PRIVATE_KEY": Wallet().private_key}
        assert "only the operator may do this" in refusal(stranger, "bootstrap")

    def test_a_leaked_workers_right_is_taken_from_it(self, environment: dict[str, str]) -> None:
        leaked, new = environment["XIAN_WORKFLOW_WORKERS"], Wallet().public_key
        answer(environment, "bootstrap")
        rotated = environment | {
            "XIAN_WORKFLOW_WORKERS": new,
            "XIAN_WORKFLOW_FORMER_WORKERS": leaked,
        }
        done = answer(rotated, "bootstrap")
        assert (done["workers_added"], done["workers_removed"]) == ([new], [leaked])
        assert answer(rotated, "bootstrap")["changed"] is False
        both = environment | {"XIAN_WORKFLOW_FORMER_WORKERS": leaked}
        assert "an account is one or the other" in refusal(both, "bootstrap")

    def test_operator_hands_over_in_two_steps(self, environment: dict[str, str]) -> None:
        first = answer(environment, "bootstrap")["operator"]
        heir, stranger = Wallet(), Wallet()
        of_heir = environment | {"XIAN_WALLET_PRIVATE_KEY": heir.private_key}
        of_stranger = environment | {"XIAN_WALLET_PRIVATE_KEY": stranger.private_key}
        assert "nobody is" in refusal(of_heir, "operator", "accept")
        assert "only the operator" in refusal(of_stranger, "operator", "propose", heir.public_key)
        offered = answer(environment, "operator", "propose", heir.public_key)
        assert offered == {"changed": True, "operator": first, "proposed": heir.public_key}
        again = answer(environment, "operator", "propose", heir.public_key)
        assert again == offered | {"changed": False}
        assert f"{heir.public_key} is" in refusal(of_stranger, "operator", "accept")
        taken = answer(of_heir, "operator", "accept")
        assert taken == {"changed": True, "operator": heir.public_key, "proposed": None}
        assert answer(of_heir, "operator", "accept") == taken | {"changed": False}
        # The role is the heir's alone now.
        assert answer(of_heir, "bootstrap")["changed"] is False
        more = {"XIAN_WORKFLOW_WORKERS": Wallet().public_key}
        assert "only the operator may do this" in refusal(environment | more, "bootstrap")
        assert answer(of_heir | more, "bootstrap")["changed"] is True

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"XIAN_WALLET_PRIVATE_KEY": "12"}, "64 hexadecimal digits"),
            ({"XIAN_WALLET_PRIVATE_KEY": ""}, "XIAN_WALLET_PRIVATE_KEY is not set"),
            ({"XIAN_CHAIN_ID": "elsewhere-1"}, "not 'elsewhere-1'"),
            ({"XIAN_NODE_URL": "http://127.0.0.1:1"}, "no connection to the node"),
            ({"XIAN_WORKFLOW_WORKERS": "me"}, "XIAN_WORKFLOW_WORKERS"),
            ({"XIAN_WORKFLOW_CONTRACT_SOURCE": "/none.s.py"}, "/none.s.py"),
        ],
    )
    def test_what_is_wrong_is_one_line(
        self, environment: dict[str, str], wrong: dict[str, str], message: str
    ) -> None:
        assert message in refusal(environment | wrong, "bootstrap")

    def test_the_key_may_come_on_standard_input(
        self, environment: dict[str, str], node: Any
    ) -> None:
        environment = {
            name: value for name, value in environment.items() if name != "XIAN_WALLET_PRIVATE_KEY"
        } | {"XIAN_WORKFLOW_WALLET_KEY_FILE": "-"}
        done = run(environment, "bootstrap", "--check", stdin=node.operator_key + "\n")
        assert json.loads(done.stdout)["operator"] == node.operator_address
        assert "must hold 64" in refusal(environment, "bootstrap", stdin="no key\n")

    def test_wallets_are_filled_where_fees_are_paid(
        self, make_node: Callable[..., AbstractContextManager[Any]], tmp_path: Path
    ) -> None:
        with make_node("paid-1", fee_mode="paid_metered") as node:
            stack = Stack(node.url, node.chain_id, "con_paid", tmp_path)
            requester = Wallet().public_key
            environment = environment_of(stack, node) | {
                "XIAN_WORKFLOW_FEE_MODE": "paid_metered",
                "XIAN_WORKFLOW_WALLETS": requester,
                "XIAN_WORKFLOW_FUND_TARGET": "1000",
            }
            done = answer(environment, "bootstrap")
            assert done["funded"] == {stack.worker: 1000, requester: 1000}
            assert answer(environment, "bootstrap")["changed"] is False
            states = {check["name"]: check["state"] for check in checks(environment)}
            assert states["wallet"] == "ok"
            low = checks(environment | {"XIAN_WORKFLOW_FUND_TARGET": "5000"})
            assert {check["state"] for check in low if check["name"] == "wallet"} == {"warning"}


def checks(environment: dict[str, str], *arguments: str) -> list[dict[str, str]]:
    """Return what health found."""
    done = run(environment, "health", "--json", "-", *arguments)
    report = json.loads(done.stdout)
    found: list[dict[str, str]] = report["checks"]
    wrong = [check for check in found if check["state"] in {"failed", "unknown"}]
    assert report["ok"] is (not wrong)
    assert done.returncode == (1 if wrong else 0)
    assert all(check["what"] in done.stderr and check["hint"] in done.stderr for check in found)
    return found


def failures(environment: dict[str, str]) -> dict[str, str]:
    """Return what is wrong and what to do, by the check's name.

    Little room where the tests keep their data is a finding too, and none of theirs.
    """
    return {
        check["name"]: f"{check['what']} {check['hint']}"
        for check in checks(environment)
        if check["state"] != "ok" and (check["name"], check["state"]) != ("disk", "warning")
    }


class TestHealth:
    @pytest.fixture
    def environment(self, running: Stack, node: Any) -> dict[str, str]:
        return watching(running, node)

    async def test_a_stack_that_works_is_green(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        path = tmp_path / "health.json"
        done = await asyncio.to_thread(run, environment, "health", "--json", str(path))
        assert done.returncode == 0, done.stdout
        report = json.loads(path.read_text())
        assert report["ok"] is True
        assert {check["name"] for check in report["checks"]} == {
            *("node", "blocks", "index", "contract", "worker", "processor", "projector", "api"),
            *("api /health", "disk", "projection"),
        }

    async def test_a_stopped_service_is_found_and_only_that(
        self, environment: dict[str, str], running: Stack
    ) -> None:
        projector = running.running["projector"]
        projector.send_signal(signal.SIGSTOP)
        found = await asyncio.to_thread(failures, environment)
        assert list(found) == ["projector"]
        assert "stopped by a signal" in found["projector"]
        assert f"kill -CONT {projector.pid}" in found["projector"]
        projector.send_signal(signal.SIGCONT)
        assert not await asyncio.to_thread(failures, environment)

    async def test_a_killed_service_is_found(
        self, environment: dict[str, str], running: Stack
    ) -> None:
        running.end("processor", signal.SIGKILL)
        found = await asyncio.to_thread(failures, environment)
        assert list(found) == ["processor"]
        assert "is gone" in found["processor"]
        running.end("api", signal.SIGTERM)
        found = await asyncio.to_thread(failures, environment)
        assert set(found) == {"processor", "api", "api /health"}
        assert "no answer from the API" in found["api /health"]

    async def test_the_wrong_contract_and_worker_are_found(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        other = tmp_path / "other.s.py"
        other.write_text("x = 1\n")
        stranger = Wallet().public_key
        found = await asyncio.to_thread(
            failures,
            environment
            | {
                "XIAN_WORKFLOW_CONTRACT_SOURCE": str(other),
                "XIAN_WORKFLOW_WORKERS": stranger,
                "XIAN_WORKFLOW_FORMER_WORKERS": environment["XIAN_WORKFLOW_WORKERS"],
                "XIAN_WORKFLOW_BLOCK_AGE_SECONDS": "0.001",
            },
        )
        assert set(found) == {"contract", "worker", "former worker", "blocks"}
        assert "another source" in found["contract"]
        assert stranger in found["worker"]
        assert "may still claim" in found["former worker"]

    def test_a_node_that_is_away_is_said_once(self, node: Any, tmp_path: Path) -> None:
        stack = Stack("http://127.0.0.1:1", node.chain_id, "con_none", tmp_path)
        found = failures(environment_of(stack, node))
        assert "no connection to the node" in found.pop("node")
        assert set(found) == {"blocks", "index", "contract", "worker"}
        assert {text.strip() for text in found.values()} == {"see the node"}


class TestSmoke:
    async def test_an_item_goes_through(self, running: Stack, node: Any) -> None:
        environment = watching(running, node)
        first = await asyncio.to_thread(answer, environment, "smoke", "--item", "one")
        assert first["ok"] is True
        assert list(first["seconds"]) == ["submitted", "completed", "projected"]
        again = await asyncio.to_thread(answer, environment, "smoke", "--item", "one")
        assert again["item_id"] == "one"
        fresh = await asyncio.to_thread(answer, environment, "smoke")
        overview = await asyncio.to_thread(answer, environment, "status")
        assert overview["items"]["completed_count"] == 2
        assert fresh["item_id"] != "one"
        assert set(overview["services"]) == {"processor", "projector", "api"}
        assert overview["chain"]["height"] >= overview["services"]["projector"]["height"] > 0

    async def test_the_step_that_fails_is_named(self, api: Stack, node: Any) -> None:
        environment = watching(api, node)
        done = await asyncio.to_thread(run, environment, "smoke", "--timeout", "1")
        assert done.returncode == 1
        result = json.loads(done.stdout)
        assert (result["ok"], result["failed"]) == (False, "completed")
        assert list(result["seconds"]) == ["submitted"]
        assert "processor" in done.stderr
        api.end("projector", signal.SIGTERM)
        api.start("handlers", "processor")

        async def completed() -> bool:
            return bool(
                (await api.get(f"/items/{result['item_id']}"))["item"]["status"] == "completed"
            )

        await eventually(completed, "the processor's work")
        done = await asyncio.to_thread(run, environment, "smoke", "--timeout", "1")
        assert json.loads(done.stdout)["failed"] == "projected"
