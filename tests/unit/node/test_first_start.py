"""What a recovery leaves for the first start, and that it ends with the first signature."""

import json
from pathlib import Path

import pytest

from workflow_backend_node import first_start
from workflow_backend_node.first_start import FirstStart
from workflow_backend_node.requests import Refused

SYNC = {
    "rpc_servers": ["http://127.0.0.1:1", "http://127.0.0.1:2"],
    "trust_height": 9,
    "trust_hash": "AB",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    sign(tmp_path, 100)
    return tmp_path


def sign(home: Path, height: int) -> None:
    state = {"height": str(height), "round": 0, "step": 3}
    (home / "data" / "priv_validator_state.json").write_text(json.dumps(state))


def test_ordinary_home_starts_as_ever(home: Path) -> None:
    assert first_start.read(home) is None


def test_first_start_checks_blocks_until_the_validator_has_signed(home: Path) -> None:
    first_start.write(home, FirstStart(100, 3, {}))
    for _ in range(2):  # killed before it signed, it looks back again
        found = first_start.read(home)
        assert found is not None
        assert found.arguments == ["--consensus.double_sign_check_height=3"]
        assert found.environment == {}
    sign(home, 101)
    assert first_start.read(home) is None
    sign(home, 100)
    assert first_start.read(home) is None  # gone for good


def test_state_sync_is_for_that_start_and_ends(home: Path) -> None:
    first_start.write(home, FirstStart(100, 3, SYNC))
    found = first_start.read(home)
    assert found is not None
    assert found.servers == SYNC["rpc_servers"]
    assert found.environment["CMT_STATESYNC_ENABLE"] == "true"
    assert found.environment["CMT_STATESYNC_RPC_SERVERS"] == "http://127.0.0.1:1,http://127.0.0.1:2"
    assert first_start.synced(home) is True
    assert first_start.synced(home) is False
    found = first_start.read(home)
    assert found is not None
    assert (found.environment, found.check_blocks) == ({}, 3)


def test_server_twice_is_one(home: Path) -> None:
    sync = {**SYNC, "rpc_servers": ["http://127.0.0.1:1"] * 2}
    with pytest.raises(Refused, match="2 servers, 1 are given"):
        first_start.write(home, FirstStart(100, 3, sync))


@pytest.mark.parametrize("text", ["{", "[]", '{"signed": 1}'])
def test_first_start_that_can_not_be_read_stops_the_start(home: Path, text: str) -> None:
    (home / first_start.NAME).write_text(text)
    with pytest.raises(Refused):
        first_start.read(home)


def test_signing_state_that_is_lost_stops_the_start(home: Path) -> None:
    first_start.write(home, FirstStart(100, 3, {}))
    (home / "data" / "priv_validator_state.json").unlink()
    with pytest.raises(Refused, match="is missing"):
        first_start.read(home)
