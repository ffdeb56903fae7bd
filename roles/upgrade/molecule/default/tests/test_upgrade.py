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
    built = described(REPO / "dist")
    (tmp_path / built["archive"]).symlink_to(REPO / "dist" / built["archive"])
    other = {"id": "0.1.2-other", "versions": built["versions"] | {"xian-tech-abci": "9.9"}}
    (tmp_path / "other.json").write_text(json.dumps(built | other))
    printed = play("upgrade", release_file=str(tmp_path / "other.json")).refused().prose
    assert "has another app, VM or CometBFT (xian-tech-abci" in printed
    assert "-e upgrade_together=true" in printed
    assert current(host) == NEW


def test_a_rehearsal_of_the_way_back_says_it_and_touches_nothing(host: Host) -> None:
    pid = host.service("workflow-backend-cometbft").systemd_properties["MainPID"]
    printed = play("rollback", "--check", "--diff").unchanged().prose
    assert f"from release {NEW} to {before(host)}, one host at a time" in printed
    assert host.service("workflow-backend-cometbft").systemd_properties["MainPID"] == pid
    assert current(host) == NEW


def test_the_way_back_keeps_the_chain(host: Host, tmp_path: Path) -> None:
    first = height(host)
    report = tmp_path / "report.json"
    play("rollback", upgrade_report=str(report)).ok()
    assert current(host) == before(host)
    assert {runs_from(host, name) for name in ("abci", "cometbft")} == {before(host)}
    assert height(host) > first
    names = [step["step"] for step in json.loads(report.read_text())["steps"]]
    assert names == ["plan", "check-quorum", "wait-healthy", "wait-healthy"]


def test_run_that_was_cut_behind_the_link_stops_in_order_before_it_goes_on(host: Host) -> None:
    host.check_output(f"ln -sfn releases/{NEW} {ROOT}/current")
    printed = (
        play("upgrade", release_file=str(MADE / "releases" / "dist" / "latest.json")).ok().prose
    )
    assert "Stop the programs of the earlier release, the services before their node" in printed
    assert {runs_from(host, name) for name in ("abci", "cometbft")} == {NEW}
