"""A hostile host gets nothing but refusals: no file, no root and no word of the control machine."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.hosts.liar import FILES, KINDS, LONG, MARK, Liar
from tests.hosts.network import Network
from tests.hosts.plays import Play
from tests.hosts.validators import HOME as NODE_HOME

HONEST, HOSTILE, SPARE = "honest", "hostile", "spare"
GROUPS = {
    **dict.fromkeys(("xian_node", "postgres", "workflow_services"), (HONEST, HOSTILE)),
    "drill": (SPARE,),
}


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    suites = {HONEST: "bookworm", HOSTILE: "forky", SPARE: "bookworm"}
    folder = tmp_path_factory.mktemp("control")
    with make_hosts("hostile", suites, groups=GROUPS) as booted:
        booted.variables = {
            "xian_network_chain_id": "hostile-1",
            "xian_network_directory": str(folder / "network"),
            "xian_network_unencrypted": True,
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            # It follows the chain, so that every playbook may do without it.
            "xian_network_power": f"{{{{ 0 if inventory_hostname == '{HOSTILE}' else 10 }}}}",
            "snapshots_fetch": str(folder / "snapshots"),
            "upgrade_report": str(folder / "report.json"),
        }
        booted.play("prepare-network").ok()
        booted.play("deploy").ok()
        yield booted


@pytest.fixture(scope="module")
def liar(hosts: Network, tmp_path_factory: pytest.TempPathFactory) -> Liar:
    return Liar(hosts[HOSTILE], tmp_path_factory.mktemp("inventory"))


@pytest.fixture(scope="module")
def home(hosts: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile host's home as a backup has it."""
    place = tmp_path_factory.mktemp("backup") / "home.tar.gz"
    hosts[HOSTILE].run(f"tar -C {NODE_HOME} -czf /root/home.tar.gz config data")
    config = str(hosts.folder / "ssh_config")
    command = ["scp", "-q", "-F", config, f"{HOSTILE}:/root/home.tar.gz", str(place)]
    subprocess.run(command, check=True)
    return place


@dataclass(frozen=True)
class Spoilt:
    """How a playbook is run with spoilt answers, by the kinds in turn.

    Of a playbook that asks often, one answer in `step` is spoilt. Some playbooks are refused in any
    case: there is no release before, and no third node to confirm a state. They have asked by then.
    """

    step: int = 1
    arguments: tuple[str, ...] = ()
    variables: dict[str, object] = field(default_factory=dict)
    is_refused: bool = False


PLAYS = {
    "status": Spoilt(),
    "health": Spoilt(),
    "smoke": Spoilt(),
    "snapshot": Spoilt(2),
    "upgrade": Spoilt(variables={"plan_only": True}),
    "rollback": Spoilt(2, is_refused=True),
    "deploy": Spoilt(12, ("--check",)),
    "restart": Spoilt(4, ("--check",)),
    "start": Spoilt(4),
    "stop": Spoilt(4, ("--check",)),
    "drill": Spoilt(4, variables={"snapshots_drill_of": HOSTILE}),
    "restore-state-snapshot": Spoilt(4, ("--limit", HOSTILE, "--check")),
    "push-home": Spoilt(4, ("--limit", HOSTILE, "--check")),
    "bootstrap-state-sync": Spoilt(
        2,
        variables={"xian_recovery_host": HOSTILE, "xian_recovery_give_up_data": True},
        is_refused=True,
    ),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("playbook", PLAYS)
def test_spoilt_answers_are_refused_and_leave_nothing(
    hosts: Network, liar: Liar, home: Path, playbook: str
) -> None:
    way = PLAYS[playbook]
    variables = way.variables | (
        {"xian_recovery_archive": str(home)} if playbook == "push-home" else {}
    )

    def run() -> Play:
        return hosts.play(playbook, *liar.arguments, *way.arguments, **variables)

    def run_honestly() -> None:
        liar.plan()
        play = run()
        if way.is_refused:
            play.failed()
            assert not [*_wrong(hosts, play)]
        else:
            play.ok()

    run_honestly()
    asked = liar.asked
    assert asked > 0
    wrong = []
    print(f"{playbook} asks {asked} times")
    spoilt = [*range(1, asked + 1, way.step)]
    while len(spoilt) < len(KINDS):
        spoilt += spoilt
    for turn, number in enumerate(spoilt):
        kind = KINDS[turn % len(KINDS)]
        liar.plan(number, kind)
        wrong += [f"{kind} of answer {number}: {what}" for what in _wrong(hosts, run())]
    assert not wrong, "\n".join(wrong)
    run_honestly()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", FILES)
def test_spoilt_files_are_refused_and_leave_nothing(hosts: Network, liar: Liar, kind: str) -> None:
    liar.plan(kind=kind)
    began = time.monotonic()
    play = hosts.play("snapshot", *liar.arguments).failed()
    print(f"{kind}: {time.monotonic() - began:.0f} s")
    assert not [*_wrong(hosts, play)]
    there = Path(str(hosts.variables["snapshots_fetch"]), HOSTILE)
    sizes = {str(file): file.stat().st_size for file in there.rglob("*") if file.is_file()}
    assert max(sizes.values(), default=0) < LONG, sizes
    liar.plan()
    hosts.play("snapshot", *liar.arguments).ok()


def _wrong(hosts: Network, play: Play) -> Iterator[str]:
    """What a run did that no hostile host may bring about."""
    output = play.wait().output
    for word in ("Traceback (most recent call last)", "An exception occurred", "MODULE FAILURE"):
        if word in output:
            yield f"{word}\n{output[-3000:]}"
    for act in ("\x1b[2J", "\x1b[8m", "\u202e", f"\nok: [{MARK}]"):
        if act in output:
            yield f"{act!r} reached the terminal"
    if play.code != 0 and f"[{HOSTILE}" not in output:
        yield f"nobody is named\n{output[-3000:]}"
    if play.recap.get(HONEST, {}).get("failed") and HOSTILE not in output:
        yield f"it stopped the other host\n{output[-3000:]}"
    for place in _found(), hosts[HONEST].output(_FIND):
        if place:
            yield f"it wrote {place}"


_FIND = f"find / -xdev -path /proc -prune -o -name '*{MARK}*' -print"


def _found() -> str:
    """Files of the control machine that the hostile host named, but on its own disk."""
    found = subprocess.run(
        [
            *("find", "/", "-xdev", "-path", "/var/lib/workflow-backend-hosts", "-prune", "-o"),
            *("-name", f"*{MARK}*", "-print"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join(found.stdout.split())
