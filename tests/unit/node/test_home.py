"""A home is made whole, updated in its configuration alone, and refused when it is another's."""

import json
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workflow_backend_node import home
from workflow_backend_node.locks import folder_lock
from workflow_backend_node.requests import Refused

Request = dict[str, Any]


def made(request: Request) -> Path:
    home.bring(request, check=False)
    return Path(request["home"])


def test_new_home_is_whole_and_private(home_request: Request) -> None:
    path = made(home_request)
    files = {f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file()}
    assert files == {
        "config/config.toml",
        "config/xian.toml",
        "config/genesis.json",
        "config/node_key.json",
        "config/priv_validator_key.json",
        "data/priv_validator_state.json",
    }
    assert {f.stat().st_mode & 0o777 for f in path.rglob("*") if f.is_file()} == {0o600}
    assert not Path(home_request["identity"]).exists()  # the key has one place


@pytest.mark.parametrize(("seen", "expected"), [({}, "7"), ("5", "7"), ("9", "9")])
def test_signing_state_from_elsewhere_is_kept_and_never_lowered(
    home_request: Request, seen: object, expected: str
) -> None:
    signed = {"height": "7", "round": 0, "step": 3}
    state = Path(home_request["identity"]) / "priv_validator_state.json"
    state.write_text(json.dumps(signed))
    home_request["seen"] = seen and {**signed, "height": seen}
    path = made(home_request)
    found = json.loads((path / "data" / "priv_validator_state.json").read_text())
    assert found == {**signed, "height": expected}


def test_home_that_others_made_is_taken_over(home_request: Request) -> None:
    """Its configuration becomes ours, its keys private, and the rest stays."""
    path = made(home_request)
    (path / "config" / "config.toml").write_text('moniker = "elsewhere"\n')
    for name in ("node_key.json", "priv_validator_key.json"):
        (path / "config" / name).chmod(0o644)
    rehearsed = home.bring(home_request, check=True)
    assert (path / "config" / "node_key.json").stat().st_mode & 0o777 == 0o644
    answer = home.bring(home_request, check=False)
    assert answer["changed"] == rehearsed["changed"]
    assert {Path(name).name for name in answer["changed"]} == {
        "config.toml",
        "node_key.json",
        "priv_validator_key.json",
    }
    assert {f.stat().st_mode & 0o777 for f in path.rglob("*") if f.is_file()} == {0o600}
    assert home.bring(home_request, check=False)["changed"] == []


def test_second_time_changes_nothing(home_request: Request) -> None:
    made(home_request)
    answer = home.bring(home_request, check=False)
    assert (answer["changed"], answer["diff"], answer["made"]) == ([], "", True)


def test_deployments_at_once_take_turns(home_request: Request) -> None:
    path = Path(home_request["home"])
    with ThreadPoolExecutor() as pool:
        with folder_lock(path.parent, check=False):
            waiting = pool.submit(home.bring, home_request, False)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            assert not path.exists()
        assert waiting.result(timeout=30)["made"]


def test_rehearsal_tells_and_writes_nothing(home_request: Request) -> None:
    path = made(home_request)
    before = {f: f.read_bytes() for f in path.rglob("*") if f.is_file()}
    home_request["settings"]["log_level"] = "DEBUG"
    answer = home.bring(home_request, check=True)
    assert answer["changed"] == [str(path / "config" / "xian.toml")]
    assert '+app_log_level = "DEBUG"' in answer["diff"]
    assert {f: f.read_bytes() for f in path.rglob("*") if f.is_file()} == before


def test_rehearsal_on_a_fresh_host_needs_no_identity(home_request: Request, tmp_path: Path) -> None:
    home_request["identity"] = str(tmp_path / "nowhere")
    answer = home.bring(home_request, check=True)
    assert (answer["made"], answer["changed"]) == (False, [home_request["home"]])


def test_identity_left_by_an_earlier_run_makes_no_home(home_request: Request) -> None:
    """A run that was killed may have handed over the keys and not what they signed last."""
    identity = Path(home_request["identity"])
    left = identity.with_name("left")
    shutil.copytree(identity, left)
    (identity / "node_key.json").unlink()
    home_request["handed_over"] = False
    answer = home.bring(home_request, check=False)
    assert (answer["made"], answer["changed"]) == (False, [home_request["home"]])
    assert not Path(home_request["home"]).exists()
    shutil.copytree(left, identity, dirs_exist_ok=True)
    home_request["handed_over"] = True
    assert home.bring(home_request, check=False)["made"] is True


def test_identity_that_was_left_beside_its_home_is_taken_away(home_request: Request) -> None:
    identity = Path(home_request["identity"])
    left = identity.with_name("left")
    shutil.copytree(identity, left)
    made(home_request)
    shutil.copytree(left, identity)
    home_request["handed_over"] = False
    assert home.bring(home_request, check=True)["changed"] == [str(identity)]
    assert identity.exists()
    assert home.bring(home_request, check=False)["changed"] == [str(identity)]
    assert not identity.exists()


def test_configuration_changes_and_the_rest_stays(home_request: Request) -> None:
    path = made(home_request)
    (path / "data" / "store").write_text("blocks")
    before = {f: f.read_bytes() for f in path.rglob("*") if f.is_file() and f.suffix != ".toml"}
    home_request["settings"].update(timeout_commit="500ms", max_pending_nonces=64)
    home.bring(home_request, check=False)
    config = tomllib.loads((path / "config" / "config.toml").read_text())
    assert config["consensus"]["timeout_commit"] == "500ms"
    xian = tomllib.loads((path / "config" / "xian.toml").read_text())
    assert xian["max_pending_nonces_per_sender"] == 64
    assert before == {f: f.read_bytes() for f in before}


def test_peers_that_change_are_written_without_a_restart(
    home_request: Request,
) -> None:
    path = made(home_request)
    before = home.bring(home_request, check=False)["configuration"]
    home_request["settings"]["peers"] = [f"{'0a' * 20}@10.0.0.9:26656"]
    after = home.bring(home_request, check=False)
    assert after["changed"] == [str(path / "config" / "config.toml")]
    assert after["configuration"] == before
    home_request["settings"]["timeout_commit"] = "300ms"
    assert home.bring(home_request, check=False)["configuration"] != before


def test_commit_timeout_suits_the_topology(home_request: Request) -> None:
    config = tomllib.loads((made(home_request) / "config" / "config.toml").read_text())
    assert config["consensus"]["timeout_commit"] == "200ms"  # two validators are in the genesis


def test_configuration_is_closed_to_other_sites_and_machines(home_request: Request) -> None:
    config = tomllib.loads((made(home_request) / "config" / "config.toml").read_text())
    assert config["rpc"]["cors_allowed_origins"] == []
    assert config["rpc"]["laddr"] == "tcp://127.0.0.9:26657"
    assert config["rpc"]["unsafe"] is False


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("chain_id", "unit-2", "belongs to network unit-1, not to unit-2"),
        ("genesis_sha256", "0" * 64, "another genesis"),
        ("public_key", "0" * 64, "another host's"),
    ],
)
def test_anothers_home_is_refused(
    home_request: Request, name: str, value: str, reason: str
) -> None:
    path = made(home_request)
    before = {f: f.read_bytes() for f in path.rglob("*") if f.is_file()}
    home_request[name] = value
    with pytest.raises(Refused, match=reason):
        home.bring(home_request, check=False)
    assert {f: f.read_bytes() for f in path.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize(
    "lost", ["config/priv_validator_key.json", "data/priv_validator_state.json"]
)
def test_home_that_could_sign_twice_is_refused(home_request: Request, lost: str) -> None:
    (made(home_request) / lost).unlink()
    with pytest.raises(Refused, match=Path(lost).name):
        home.bring(home_request, check=False)


def test_half_restored_home_is_named_before_anything_is_changed(home_request: Request) -> None:
    journal = made(home_request).parent / "restore" / "journal.json"
    journal.parent.mkdir()
    journal.write_text(json.dumps({"phase": "swapping"}))
    home_request["settings"]["log_level"] = "DEBUG"
    with pytest.raises(Refused, match=r"restore-state-snapshot\.yml"):
        home.bring(home_request, check=False)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("fee_mode", "free", "tx_fee_mode must be one of"),
        ("block_policy", "sometimes", "block_policy_mode must be one of"),
        ("metrics_address", "9108", "IP-ADDRESS:PORT"),
        ("misspelt", 1, "misspelt is unknown"),
    ],
)
def test_wrong_setting_is_named(home_request: Request, name: str, value: Any, reason: str) -> None:
    home_request["settings"][name] = value
    with pytest.raises(Refused, match=reason):
        home.bring(home_request, check=False)
    assert not Path(home_request["home"]).exists()


def test_answer_holds_no_key(home_request: Request) -> None:
    key = json.loads((Path(home_request["identity"]) / "priv_validator_key.json").read_text())
    assert key["priv_key"]["value"] not in json.dumps(home.bring(home_request, check=False))
