"""Accounts of services that turn on root get nothing: no file of root's, no word of it, no hang."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.planter import BEATS, NAMES, OWN, ROOTS, SNAPSHOTS, Planters
from tests.hosts.plays import Play, PlayFailed

HOST, SPARE = "backend-1", "spare"
GROUPS = {name: [HOST] for name in ("xian_node", "postgres", "workflow_services")}
GROUPS["drill"] = [SPARE]
SECONDS = 600
"""For a playbook, with the patience that it has for services that do not get well."""

ROOTS_FILES = "find /root /etc /opt -xdev ! -user root -printf '%p %u %m\\n' | sort"
LOOKS = ("status", "health", "smoke", "snapshot", "deploy", "upgrade", "restore-state-snapshot")
# Programs that their own account keeps from starting are waited for: those come once.
ATTACKS = {
    "names of root's": (NAMES, BEATS, (*LOOKS, "restart", "stop", "start")),
    "names of all": (NAMES + OWN, SNAPSHOTS, LOOKS),
}
ARGUMENTS = {"restore-state-snapshot": ("--check",), "upgrade": ("-e", "plan_only=true")}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control")


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]], control: Path
) -> Iterator[Network]:
    with make_hosts("account", {HOST: "forky", SPARE: "bookworm"}, groups=GROUPS) as booted:
        booted.variables = {
            "xian_network_chain_id": "account-1",
            "xian_network_directory": str(control / "network"),
            "xian_network_unencrypted": True,
            "snapshots_fetch": str(control / "snapshots"),
            "snapshots_report": str(control / "report.json"),
        }
        booted.play("prepare-network").ok()
        booted.play("deploy").ok()
        booted.play("snapshot").ok()
        yield booted


@pytest.fixture(scope="module")
def planters(hosts: Network) -> Planters:
    return Planters(hosts[HOST])


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("attack", ATTACKS)
def test_playbooks_follow_nothing_that_accounts_plant(
    hosts: Network, planters: Planters, control: Path, attack: str
) -> None:
    names, replaced, playbooks = ATTACKS[attack]
    host = hosts[HOST]
    before = planters.canary(), host.output(ROOTS_FILES)
    wrong: list[str] = []
    for playbook in playbooks:
        with planters.planting(names, replaced):
            arguments = ARGUMENTS.get(playbook, ())
            play = hosts.begin(playbook, *arguments, workflow_services_ready_seconds=60)
            wrong += [f"{playbook}: {what}" for what in _wrong(play, planters, control)]
        after = planters.canary(), host.output(ROOTS_FILES)
        if after != before:
            wrong.append(f"{playbook}: root's files are\n{after}\nand were\n{before}")
    assert not wrong, "\n".join(wrong)
    _require_well(hosts, host)


def test_root_fetches_no_link_in_the_place_of_a_snapshots_file(
    hosts: Network, planters: Planters, control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest is whole, so root goes on to take the files of the account."""
    (control / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(control / "tmp"))
    with planters.planting((), ("state.tar.gz",)):
        play = hosts.begin("drill", "--limit", HOST)
        wrong = [*_wrong(play, planters, control)]
    assert not wrong, "\n".join(wrong)
    assert "state.tar.gz is not a regular file" in play.failed().prose


def _wrong(play: Play, planters: Planters, control: Path) -> Iterator[str]:
    """What a playbook did that no account may bring about."""
    try:
        play.wait(SECONDS)
    except PlayFailed:
        yield f"it hangs\n{play.output[-3000:]}"
        return
    text = play.output
    failed = [line for line in text.splitlines() if re.match(r"fatal: |\[ERROR\]", line)]
    print(f"{play.playbook}: {play.code}", *failed, sep="\n")
    for word in ("Traceback (most recent call last)", "An exception occurred", "MODULE FAILURE"):
        if word in text:
            yield f"{word}\n{text[-3000:]}"
    if play.code != 0 and not any(root in text for root in ROOTS):
        yield f"it does not name what is wrong\n{text[-3000:]}"
    if planters.secret in text:
        yield f"root's secret is shown\n{text[-3000:]}"
    files = [file for file in control.rglob("*") if file.is_file()]
    yield from (
        f"root's secret is in {file}"
        for file in files
        if planters.secret.encode() in file.read_bytes()
    )


def _require_well(hosts: Network, host: Host) -> None:
    """Nothing of the plants is left in effect: a deployment brings everything back."""
    hosts.play("deploy").ok()
    hosts.play("health").ok()
    hosts.play("snapshot").ok()
    assert host.output("systemctl --failed --no-legend --plain") == ""
