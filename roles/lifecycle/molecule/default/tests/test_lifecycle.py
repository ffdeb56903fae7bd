"""A node that is stopped, started and restarted in order."""

import json
import os
from pathlib import Path

from testinfra.host import Host
from tests.hosts.verified import play, wait_for_block

REPORT = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "report.json"
PROGRAMS = ("cometbft", "abci")


def running(host: Host) -> set[str]:
    return {name for name in PROGRAMS if host.service(f"workflow-backend-{name}").is_running}


def pid(host: Host) -> str:
    return str(host.service("workflow-backend-cometbft").systemd_properties["MainPID"])


def test_plan_of_a_restart_says_what_happens_and_touches_nothing(host: Host) -> None:
    before = pid(host)
    printed = play("restart", plan_only=True).unchanged().prose
    assert "bookworm: its programs stop in order and start again" in printed
    assert pid(host) == before


def test_restart_replaces_the_programs_and_the_chain_goes_on(host: Host) -> None:
    before = pid(host)
    REPORT.unlink(missing_ok=True)
    play("restart").ok()
    assert pid(host) != before
    steps = [step["step"] for step in json.loads(REPORT.read_text())["steps"]]
    assert steps == ["plan-verb", "check-quorum", "wait-healthy"]


def test_stop_and_start_are_idempotent(host: Host) -> None:
    assert play("stop").ok().changed > 0
    assert running(host) == set()
    play("stop").unchanged()
    play("start").ok()
    assert running(host) == set(PROGRAMS)
    play("start").unchanged()
    wait_for_block(host, after=0)
