"""One host that runs everything: its units, their cages, and an item through all of them."""

import json
import os
import re
from pathlib import Path

import pytest
from testinfra.host import Host
from tests.hosts import REPO
from tests.hosts.probes import UNIT, probe
from tests.hosts.verified import play

ACCOUNTS = {
    "postgres": "workflow-postgres",
    "abci": "workflow-node",
    "cometbft": "workflow-node",
    "handlers": "workflow-handlers",
    "projector": "workflow-projector",
    "processor": "workflow-processor",
    "api": "workflow-api",
}
DATA = "/var/lib/workflow-backend"
STATE = {
    "postgres": f"{DATA}/postgres",
    "abci": f"{DATA}/node",
    "cometbft": f"{DATA}/node",
    **{name: f"{DATA}/{name}" for name in ("handlers", "projector", "processor", "api")},
}
KEYS = [
    f"{DATA}/node/.cometbft/config/priv_validator_key.json",
    "/etc/workflow-backend/credentials/processor/wallet_key",
    "/etc/workflow-backend/credentials/api/wallet_key",
]
each = pytest.mark.parametrize("program", ACCOUNTS)


@each
def test_a_unit_runs_ready_as_an_account_of_its_own(host: Host, program: str) -> None:
    unit = host.service(UNIT.format(program))
    assert (unit.is_running, unit.is_enabled) == (True, True)
    facts = unit.systemd_properties
    assert facts["Type"] == "notify"
    assert facts["WatchdogUSec"] not in ("0", "infinity")
    assert facts["User"] == ACCOUNTS[program]


@each
def test_a_unit_is_exposed_little(host: Host, program: str) -> None:
    output = host.run("systemd-analyze security --no-pager %s", UNIT.format(program)).stdout
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d)", output)
    assert level is not None
    assert float(level[1]) <= 1.5, output


@each
def test_a_unit_writes_to_its_own_state_alone_and_reads_no_others_key(
    host: Host, program: str
) -> None:
    own = STATE[program]
    others = sorted({folder for folder in STATE.values() if folder != own})
    keys = [path for path in KEYS if not path.startswith(f"{own}/")]
    places = [own, "/etc", "/usr/local", "/opt/workflow-backend", "/var/lib", *others]
    found = probe(host, program, write=places, read=keys)
    assert found["account"] == host.user(ACCOUNTS[program]).uid
    assert [place for place, came in found["write"].items() if came == "done"] == [own]
    assert [path for path, came in found["read"].items() if came == "done"] == []


@each
def test_a_unit_opens_only_the_sockets_that_it_needs(host: Host, program: str) -> None:
    families = ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"]
    opened = probe(host, program, open=families)["open"]
    allowed = {
        "postgres": set(),
        "cometbft": {"AF_INET", "AF_INET6", "AF_NETLINK"},
    }.get(program, {"AF_INET", "AF_INET6"})
    assert {family for family, came in opened.items() if came == "done"} == allowed


@each
def test_each_line_of_a_unit_in_the_journal_is_a_json_object(host: Host, program: str) -> None:
    output = host.check_output(
        "journalctl _SYSTEMD_UNIT=%s --output=cat --no-pager --lines=200", UNIT.format(program)
    )
    lines = output.splitlines()
    assert lines or program in ("handlers", "projector")
    for line in lines:
        assert isinstance(json.loads(line), dict), line


def test_another_release_comes_by_an_upgrade_alone(host: Host, tmp_path: Path) -> None:
    runs = Path(host.check_output("readlink /opt/workflow-backend/current")).name
    built = json.loads((REPO / "dist" / f"{runs}.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps(built | {"id": "0.2.0-other"}))
    (tmp_path / built["archive"]).symlink_to(REPO / "dist" / built["archive"])
    output = play("deploy", release_file=str(tmp_path / "other.json")).refused().prose
    assert f"it runs release {runs}, and release 0.2.0-other is given" in output
    plan = play("upgrade", release_file=str(tmp_path / "other.json"), plan_only=True).unchanged()
    assert f"from release {runs} to 0.2.0-other" in plan.prose
    # As preflight says it, from the clone's folder.
    play("deploy", release_file=f"dist/{runs}.json").unchanged()


def test_what_listens_stays_on_loopback(host: Host) -> None:
    listening = host.check_output("ss --tcp --listening --numeric --no-header")
    outside = {
        line.split()[3]
        for line in listening.splitlines()
        if not line.split()[3].startswith(("127.", "[::1]"))
    }
    assert {address.rpartition(":")[2] for address in outside} == {"22"}


def test_no_secret_is_in_an_argument_or_in_the_environment(host: Host) -> None:
    keys = [
        host.file(path).content_string.strip()
        for path in KEYS
        if path.startswith("/etc/workflow-backend")
    ]
    seen = host.check_output("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'")
    assert [key for key in keys if key in seen] == []


def test_the_operators_key_never_came_here(host: Host) -> None:
    network = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "network"
    key = json.loads((network / "operator.json").read_text())["private_key"]
    found = host.run(f"grep -rlF {key} /etc /opt /root /run /tmp /var")
    assert (found.rc, found.stdout) == (1, "")


def test_killed_programs_come_back_and_an_item_goes_through(host: Host) -> None:
    before = {name: host.service(UNIT.format(name)).systemd_properties["MainPID"] for name in STATE}
    for pid in before.values():
        host.run("kill -KILL %s", pid)
    ask = (
        "set -a; XIAN_CHAIN_ID=single-host-1 "
        "XIAN_WORKFLOW_API_TOKEN_FILE=/etc/workflow-backend/credentials/operator/api_token "
        "XIAN_WORKFLOW_PROJECTION_PATH=/var/lib/workflow-backend/projection/projection.sqlite3 "
        f"XIAN_WORKFLOW_SERVICES={','.join(f'{n}={STATE[n]}' for n in list(STATE)[3:])} "
        "/opt/workflow-backend/current/services/bin/workflow-backend "
    )
    health = host.run(f"{ask} health --wait 120")
    assert health.rc == 0, health.stdout
    after = {name: host.service(UNIT.format(name)).systemd_properties["MainPID"] for name in STATE}
    assert [name for name in STATE if after[name] in ("0", before[name])] == []
    smoke = host.run(f"{ask} smoke")
    assert json.loads(smoke.stdout)["ok"] is True, smoke.stderr
