"""A node after an upgrade, and after the way back."""

import json
import os
from pathlib import Path
from typing import Any

from testinfra.host import Host
from tests.hosts import REPO
from tests.hosts.verified import height, play

MADE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
ROOT = "/opt/workflow-backend"


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "latest.json").read_text())
    return found


NEW = described(MADE / "releases" / "dist")["id"]


def current(host: Host) -> str:
    return str(host.check_output(f"readlink {ROOT}/current")).removeprefix("releases/")


def before(host: Host) -> str:
    """The release that the host had first."""
    (name,) = set(host.file(f"{ROOT}/releases").listdir()) - {NEW}
    return str(name)


def runs_from(host: Host, program: str) -> str:
    """The release that a program was started from."""
    pid = host.service(f"workflow-backend-{program}").systemd_properties["MainPID"]
    path = host.check_output(f"readlink /proc/{pid}/exe")
    return Path(path).relative_to(f"{ROOT}/releases").parts[0]


def test_its_programs_run_from_the_new_release_and_the_earlier_one_is_kept(host: Host) -> None:
    assert current(host) == NEW
    assert {runs_from(host, name) for name in ("abci", "cometbft")} == {NEW}
    assert host.file(f"{ROOT}/releases/{before(host)}/manifest.json").exists


def test_another_app_is_refused_before_anything_is_touched(host: Host, tmp_path: Path) -> None:
    told = described(REPO / "dist")
    (tmp_path / told["archive"]).symlink_to(REPO / "dist" / told["archive"])
    other = {"id": "0.1.2-other", "versions": told["versions"] | {"xian-tech-abci": "9.9"}}
    (tmp_path / "other.json").write_text(json.dumps(told | other))
    said = play("upgrade", release_file=str(tmp_path / "other.json")).refused().said
    assert "has another app, VM or CometBFT (xian-tech-abci" in said
    assert "-e upgrade_together=true" in said
    assert current(host) == NEW


def test_a_rehearsal_of_the_way_back_says_it_and_touches_nothing(host: Host) -> None:
    pid = host.service("workflow-backend-cometbft").systemd_properties["MainPID"]
    said = play("rollback", "--check", "--diff").unchanged().said
    assert f"from release {NEW} to {before(host)}, one host at a time" in said
    assert host.service("workflow-backend-cometbft").systemd_properties["MainPID"] == pid
    assert current(host) == NEW


def test_the_way_back_keeps_the_chain(host: Host, tmp_path: Path) -> None:
    first = height(host)
    report = tmp_path / "report.json"
    play("rollback", upgrade_report=str(report)).ok()
    assert current(host) == before(host)
    assert {runs_from(host, name) for name in ("abci", "cometbft")} == {before(host)}
    assert height(host) > first
    told = [step["step"] for step in json.loads(report.read_text())["steps"]]
    assert told == ["plan", "take-down", "well", "well"]


def test_run_that_was_cut_behind_the_link_stops_in_order_before_it_goes_on(host: Host) -> None:
    host.check_output(f"ln -sfn releases/{NEW} {ROOT}/current")
    said = play("upgrade", release_file=str(MADE / "releases" / "dist" / "latest.json")).ok().said
    assert "Stopped in order, the processor drained before its node" in said
    assert {runs_from(host, name) for name in ("abci", "cometbft")} == {NEW}
