"""Releases: a deployment is no upgrade, which has gates of its own."""

import pytest

from workflow_backend.operations.preflight.findings import Level

from .inventories import BUILT, host, machine, only, preflight

NODE = ["workflow-backend-abci", "workflow-backend-cometbft", "workflow-backend-postgres"]


@pytest.mark.parametrize(
    ("runs", "programs", "is_reported"),
    [
        ("0.0-old", NODE, True),
        ("0.0-old", ["workflow-backend-api"], True),
        (BUILT.name, NODE, False),
        ("", NODE, False),  # its releases are lost: the deployment brings one
        ("0.0-old", [], False),  # a first deployment that was cut off, and the next build
        ("0.0-old", ["workflow-backend-postgres"], False),
    ],
)
def test_release_other_than_the_running_one_is_found(
    runs: str, programs: list[str], is_reported: bool
) -> None:
    one = host(seen=machine(runs=runs, programs=programs))
    findings = preflight(one)
    assert bool(findings) is is_reported
    if is_reported:
        finding = only(findings)
        assert (finding.check, finding.level) == ("release", Level.PROBLEM)
        assert finding.what == f"it runs release {runs}, and release {BUILT.name} is given"
        assert "upgrade.yml" in finding.hint
        assert f"-e release_file=dist/{runs}.json" in finding.hint
    assert preflight(one, change=True) == []


def test_release_may_be_given_by_its_name() -> None:
    seen = machine(runs="0.0-old", programs=NODE, releases=["0.0-old"])
    assert preflight(host(seen=seen, release_id="0.0-old")) == []
    assert "release 0.0-new is given" in only(preflight(host(seen=seen, release_id="0.0-new"))).what


def test_under_supervisor_there_are_no_releases() -> None:
    seen = machine(runs="0.0-old", programs=NODE)
    local = {"program_manager": "supervisor", "ansible_connection": "local"}
    assert preflight(host(seen=seen, **local)) == []
