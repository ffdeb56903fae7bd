"""Status: what the host has in a few figures, and why a figure is missing."""

import json
import time
from pathlib import Path

import pytest

from workflow_backend.operations import status

from .fake_node import FakeNode, settings


def test_status_of_a_heartbeat_has_its_time_for_people_and_its_age(tmp_path: Path) -> None:
    path = tmp_path / "api.heartbeat.json"
    path.write_text(json.dumps({"service": "api", "pid": 7, "at": time.time() - 3600}))
    beats = status._last_beat(path)
    assert 3600 <= beats["age_seconds"] < 3700
    assert str(beats["at"]).endswith("Z")
    path.write_text(json.dumps({"service": "api", "pid": 7, "at": time.time() + 3600}))
    assert status._last_beat(path)["age_seconds"] == 0.0  # a clock that was set back


async def test_status_has_what_the_host_has_and_no_more(node: FakeNode, tmp_path: Path) -> None:
    found = await status.status(settings(node))
    assert set(found) == {"chain"}
    beat = tmp_path / "processor.heartbeat.json"
    beat.write_text('{"service": "processor", "pid": 7, "at": 1764427334.43035, "claimed": 2}')
    (tmp_path / "api.heartbeat.json").symlink_to(beat)
    services = f"processor={tmp_path},projector={tmp_path},api={tmp_path}"
    more = {
        "XIAN_WORKFLOW_SERVICES": services,
        "XIAN_WORKFLOW_INDEX": "yes",
        "XIAN_WORKFLOW_API_URL": "http://127.0.0.1:9",
    }
    found = await status.status(settings(node, **more))
    assert set(found) == {"chain", "index", "items", "services"}
    beats = found["services"]
    assert (beats["processor"]["at"], beats["processor"]["claimed"]) == ("2025-11-29T14:42:14Z", 2)
    assert "it has no heartbeat" in beats["projector"]["problem"]
    assert "can't be read" in beats["api"]["problem"]


async def test_status_does_not_wait_for_a_frozen_app(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "ANSWER_SECONDS", 0.2)
    node.frozen = True
    found = await status.status(settings(node, XIAN_WORKFLOW_INDEX="yes"))
    assert found["chain"]["height"] == 7
    assert found["index"] == {"problem": "no answer in 0.2 s"}


async def test_status_says_so_where_an_answer_can_not_be_read(node: FakeNode) -> None:
    node.thawed.set()  # its API answers {}
    more = {"XIAN_WORKFLOW_API_URL": node.url, "XIAN_WORKFLOW_INDEX": "yes"}
    found = await status.status(settings(node, **more))
    assert "its answer can't be read: KeyError" in found["items"]["problem"]
