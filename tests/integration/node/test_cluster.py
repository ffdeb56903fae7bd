"""Who may use the index's PostgreSQL: two accounts, each under its own name, over a socket."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template
from processes import wait_until
from toolchain_harness import ROLES, Toolchain

OWNER, STRANGER = "daemon", "nobody"


def request(toolchain: Toolchain, folder: Path, **changes: Any) -> dict[str, Any]:
    role = ROLES / "postgres"
    values = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    template = Template((role / "templates" / "postgresql.conf.j2").read_text())
    return {
        "directory": str(folder / "cluster"),
        "programs": toolchain["postgres_bin"],
        "database": "xian",
        "configuration": template.render(**values | {"postgres_run": str(folder / "run")}),
        **changes,
    }


@pytest.fixture
def folder(toolchain: Toolchain) -> Iterator[Path]:
    folder = toolchain.folder()
    folder.chmod(0o711)
    (folder / "run").mkdir()
    shutil.chown(folder / "run", toolchain["account"])
    yield folder
    shutil.rmtree(folder)


@contextmanager
def running(toolchain: Toolchain, folder: Path) -> Iterator[None]:
    command = [toolchain["node_python"], "-m", "workflow_backend_node.database"]
    command += [toolchain["postgres_bin"], str(folder / "cluster")]
    with subprocess.Popen(
        [*toolchain.as_account, *command], cwd=folder, stderr=subprocess.PIPE
    ) as process:
        try:
            lock = folder / "cluster" / "postmaster.pid"
            wait_until(lambda: lock.exists() and "ready" in lock.read_text(), 20, "it is ready")
            yield
        finally:
            process.terminate()
            process.communicate(timeout=30)


def ask(
    toolchain: Toolchain, folder: Path, question: str, account: str = "", role: str = ""
) -> tuple[str, str]:
    """What PostgreSQL answers the account, and what it complains about."""
    who = pwd.getpwnam(account) if account else toolchain.account
    command = ["setpriv"]
    if os.geteuid() == 0:
        command += ["--reuid", str(who.pw_uid), "--regid", str(who.pw_gid), "--clear-groups"]
    command += [f"{toolchain['postgres_bin']}/psql", "-h", str(folder / "run"), "-d", "xian"]
    command += ["-U", role or who.pw_name, "-Atc", question]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr


ROLES_THERE = (
    "SELECT string_agg(rolname || ' ' || rolsuper || rolcreatedb || rolcreaterole || rolreplication"
    " || rolbypassrls, ',' ORDER BY rolname) FROM pg_roles WHERE rolcanlogin"
)
OWNER_OF_DATABASE = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'xian'"


def test_database_may_belong_to_another_account(toolchain: Toolchain, folder: Path) -> None:
    account = toolchain["account"]
    toolchain.ask("cluster", request(toolchain, folder, owner=OWNER))
    with running(toolchain, folder):
        there, _ = ask(toolchain, folder, ROLES_THERE)
        assert set(there.split(",")) == {
            f"{account} truetruetruetruetrue",
            f"{OWNER} falsefalsefalsefalsefalse",
        }
        assert ask(toolchain, folder, OWNER_OF_DATABASE)[0] == OWNER


@pytest.mark.parametrize("owner", [{}, {"owner": ""}, {"owner": None}])
def test_clusters_account_may_own_it(
    toolchain: Toolchain, folder: Path, owner: dict[str, Any]
) -> None:
    account = toolchain["account"]
    owner = {name: account if value is None else value for name, value in owner.items()}
    toolchain.ask("cluster", request(toolchain, folder, **owner))
    with running(toolchain, folder):
        assert ask(toolchain, folder, ROLES_THERE)[0].split()[0] == account
        assert ask(toolchain, folder, OWNER_OF_DATABASE)[0] == account


def test_cluster_that_was_made_without_an_owner_is_left_as_it_is(
    toolchain: Toolchain, folder: Path
) -> None:
    toolchain.ask("cluster", request(toolchain, folder))
    answer = toolchain.ask("cluster", request(toolchain, folder, owner=toolchain["account"]))
    assert answer == {"changed": [], "diff": ""}


def test_deployments_at_once_take_turns(toolchain: Toolchain, folder: Path) -> None:
    cluster = request(toolchain, folder)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: toolchain.ask("cluster", cluster), range(2)))
    assert sorted(len(answer["changed"]) for answer in answers) == [0, 2]
    assert {path.name for path in folder.iterdir()} == {"run", "cluster"}


@pytest.mark.parametrize("owner", ['a"b', "a\nb", "pg_signal_backend"])
def test_owner_that_can_own_nothing_is_refused(
    toolchain: Toolchain, folder: Path, owner: str
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        toolchain.ask("cluster", request(toolchain, folder, owner=owner))
    assert [path.name for path in folder.iterdir()] == ["run"]


def test_cluster_admits_only_peers_on_the_socket(toolchain: Toolchain, folder: Path) -> None:
    toolchain.ask("cluster", request(toolchain, folder))
    rules = [
        line.split()
        for line in (folder / "cluster" / "pg_hba.conf").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    assert {(rule[0], rule[-1]) for rule in rules} == {("local", "peer"), ("host", "reject")}
    with running(toolchain, folder):
        assert ask(toolchain, folder, "SHOW listen_addresses") == ("", "")


@pytest.mark.as_root
def test_cluster_admits_an_account_under_its_own_name_alone(
    toolchain: Toolchain, folder: Path
) -> None:
    # As on a host: the folder's group is the clients', and what is made in it belongs to that.
    shutil.chown(folder / "run", toolchain["account"], pwd.getpwnam(OWNER).pw_gid)
    (folder / "run").chmod(0o2750)
    toolchain.ask("cluster", request(toolchain, folder, owner=OWNER))
    with running(toolchain, folder):
        socket = (folder / "run" / ".s.PGSQL.5432").stat()
        assert (socket.st_mode & 0o777, socket.st_gid) == (0o770, pwd.getpwnam(OWNER).pw_gid)
        made = "CREATE TABLE public.t (n int); SELECT current_user"
        assert ask(toolchain, folder, made, OWNER)[0].endswith(OWNER)
        assert (
            "Peer authentication failed"
            in ask(toolchain, folder, "SELECT 1", OWNER, role=toolchain["account"])[1]
        )
        assert "Permission denied" in ask(toolchain, folder, "SELECT 1", STRANGER, role=OWNER)[1]
        # Were the folder open to all, the socket would still not be.
        (folder / "run").chmod(0o2755)
        assert "Permission denied" in ask(toolchain, folder, "SELECT 1", STRANGER, role=OWNER)[1]
