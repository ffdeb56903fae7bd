"""Health as a whole: which checks run, what they need of each other, and how long it waits."""

import json
import os
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_backend.operations import health, progress_deadline
from workflow_backend.operations.health import Check, Report, State, context
from workflow_backend.settings import Settings

from ..fake_node import FakeNode, settings


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


async def test_health_blames_a_frozen_app_and_nothing_else(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "ANSWER_SECONDS", 1.0)
    node.frozen = True
    watched = settings(node, XIAN_WORKFLOW_API_URL=node.url)
    found = by_name((await health.check_health(watched)).checks)
    assert found["node"].state == State.FAILED
    assert "its app does not answer in 1 s, CometBFT does" in found["node"].what
    assert "restart.yml" in found["node"].hint
    for name in ("blocks", "contract", "api /health"):
        assert (found[name].state, found[name].what) == (State.UNKNOWN, "see the node")
    assert node.asked == ["status", "abci_info"]  # it is waited for once


async def test_health_blames_an_api_that_does_not_answer_beside_a_living_app(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "ANSWER_SECONDS", 1.0)
    watched = settings(node, XIAN_WORKFLOW_API_URL=node.url)
    found = by_name((await health.check_health(watched)).checks)
    assert found["node"].state == State.OK
    assert found["api /health"].state == State.FAILED


async def test_health_checks_the_disks_of_a_host_without_services(
    node: FakeNode, tmp_path: Path
) -> None:
    disks = f"node={tmp_path},index={tmp_path}/later,proc=/proc"
    checks = (await health.check_health(settings(node, XIAN_WORKFLOW_DISKS=disks))).checks
    data, proc = (check for check in checks if check.name == "disk")
    assert "(node, index)" in data.what
    assert "/proc (proc)" in proc.what


async def test_health_checks_the_contract_where_anybody_works(node: FakeNode) -> None:
    def names(found: Report) -> list[str]:
        return [check.name for check in found.checks]

    nobody = settings(node, XIAN_WORKFLOW_SERVICES="")
    assert names(await health.check_health(nobody)) == ["node", "blocks"]
    for somebody in (
        settings(node),
        settings(node, XIAN_WORKFLOW_SERVICES="", XIAN_WORKFLOW_WORKERS="ab" * 32),
    ):
        assert "contract" in names(await health.check_health(somebody))


class Looks:
    """What health finds, look by look; the last one again and again."""

    def __init__(self, *found: Report) -> None:
        self._found = list(found)
        self.taken = 0

    async def __call__(self, _: Settings) -> Report:
        self.taken += 1
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


BEHIND = [Check("node", State.FAILED, "it is catching up")]
WELL = [Check("node", State.OK, "fine")]


@pytest.mark.parametrize("what", ["node", "index"])
async def test_health_waits_as_long_as_blocks_are_taken_in(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    now = 100.0
    monkeypatch.setattr(context, "POLL_SECONDS", 0)
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(progress_deadline, "time", clock)
    looks = Looks(*(Report(BEHIND, {what: height}) for height in range(1, 50)), Report(WELL))

    async def look(asked: Settings) -> Report:
        nonlocal now
        now += 5  # 250 s altogether
        return await looks(asked)

    assert await health.wait_for_health(settings(node), 10, look) == WELL
    looks = Looks(Report(BEHIND, {what: 7}))
    assert await health.wait_for_health(settings(node), 10, look) == BEHIND
    assert looks.taken <= 4
    looks = Looks(Report(BEHIND))  # what is wrong for another reason has its time alone
    assert await health.wait_for_health(settings(node), 10, look) == BEHIND
    assert looks.taken <= 3


@pytest.mark.parametrize(
    "what",
    [
        *("pipe", "link", "large", "deep", "[]", '{"pid": 1, "at": 1e300}'),
        *(
            f'{{"pid": 1, "at": 1, {odd}}}'
            for odd in (
                '"problem": [1]',
                '"warning": {}',
                '"height": "9"',
                '"unhandled": "x"',
                '"unhandled": {"job": [1]}',
                '"compared": {"rounds": "x"}',
            )
        ),
    ],
)
async def test_health_names_what_lies_in_place_of_a_heartbeat(
    node: FakeNode, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "processor.heartbeat.json"
    if what == "pipe":
        os.mkfifo(file)
    elif what == "link":
        other = tmp_path / "other"  # which would be taken for one
        other.write_text(json.dumps({"pid": os.getpid(), "at": time.time()}))
        file.symlink_to(other)
    else:
        text = {"large": '{"pid": 1, "at": 1, "x": "' + "x" * 70_000 + '"}', "deep": "[" * 60_000}
        file.write_text(text.get(what, what))
    watched = settings(node, XIAN_WORKFLOW_SERVICES=f"processor={tmp_path}")
    began = time.monotonic()
    found = by_name((await health.check_health(watched)).checks)["processor"]
    assert found.state == State.FAILED
    assert ("heartbeat can't be read" if what == "link" else "is not a heartbeat") in found.what
    assert time.monotonic() - began < 30  # a hang is a failure
    assert health.table([found])


async def test_health_report_has_its_time_in_rfc3339(node: FakeNode) -> None:
    report = health.as_json(settings(node), [])
    assert report["checked_at"].endswith("Z")
    assert datetime.fromisoformat(report["checked_at"]).tzinfo is not None


async def test_health_reports_a_check_that_breaks_beside_the_others(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: object) -> list[Check]:
        raise KeyError("gone")

    monkeypatch.setitem(health.checks.CHECKS, "disk", broken)
    found = by_name((await health.check_health(settings(node))).checks)
    assert (found["disk"].state, found["node"].state) == (State.FAILED, State.OK)
    assert "the check itself failed: KeyError('gone')" in found["disk"].what
