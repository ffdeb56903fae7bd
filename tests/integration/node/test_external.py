"""The index may be in a PostgreSQL elsewhere: over TLS, verified, and its password is in no log."""

import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from node_harness import Node
from postgres_harness import running_postgres
from processes import wait_until
from tls_harness import Authority, Front
from toolchain_harness import Toolchain

from workflow_backend_node import index
from workflow_backend_node.requests import Refused

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()
PASSWORD = "correct-horse-7"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "another")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """The socket and the superuser of a PostgreSQL."""
    with running_postgres() as dsn:
        folder, _, user = dsn.partition("host=")[2].partition("&user=")
        yield f"{folder}/.s.PGSQL.5432", user


def dsn(user: str, port: int, authority: Authority | str, host: str = "localhost") -> str:
    root = authority if isinstance(authority, str) else authority.certificate
    verified = f"sslmode=verify-full&sslrootcert={root}"
    return f"postgresql://{user}:{PASSWORD}@{host}:{port}/postgres?{verified}"


async def test_verified_server_is_taken(
    server: tuple[str, str], authorities: tuple[Authority, Authority]
) -> None:
    socket, user = server
    with closing(Front(socket, authorities[0].server("localhost"))) as front:
        await index.wait_for_database(dsn(user, front.port, authorities[0]), 5)
        assert front.opened == 1


async def test_server_of_another_authority_is_refused(
    server: tuple[str, str], authorities: tuple[Authority, Authority]
) -> None:
    socket, user = server
    with closing(Front(socket, authorities[1].server("localhost"))) as front:
        with pytest.raises(Refused, match="CERTIFICATE_VERIFY_FAILED"):
            await index.wait_for_database(dsn(user, front.port, authorities[0]), 0.3)
        assert front.opened == 0


async def test_server_of_another_host_is_refused(
    server: tuple[str, str], authorities: tuple[Authority, Authority]
) -> None:
    socket, user = server
    with closing(Front(socket, authorities[0].server("elsewhere"))) as front:
        with pytest.raises(Refused, match="not valid for 'localhost'"):
            await index.wait_for_database(dsn(user, front.port, authorities[0]), 0.3)
        assert front.opened == 0


async def test_server_without_tls_is_refused(
    server: tuple[str, str], authorities: tuple[Authority, Authority]
) -> None:
    socket, user = server
    with (
        closing(Front(socket, None)) as front,
        pytest.raises(Refused, match="rejected SSL upgrade"),
    ):
        await index.wait_for_database(dsn(user, front.port, authorities[0]), 0.3)


async def test_root_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(Refused, match=r"sslrootcert .*/nowhere/ca\.pem"):
        await index.wait_for_database(dsn("me", 1, "/nowhere/ca.pem"), 0.3)


def test_node_keeps_its_index_there(
    server: tuple[str, str], authorities: tuple[Authority, Authority]
) -> None:
    socket, user = server
    node = Node(Toolchain(), "external-1")
    root = node.folder / "ca.pem"  # where the node's account may read it
    root.write_bytes(authorities[0].certificate.read_bytes())
    root.chmod(0o644)
    context = authorities[0].server("localhost")
    with closing(Front(socket, context)) as front:
        node.dsn = dsn(user, front.port, str(root))
        with node:
            node.kill("postgres")  # its own, which it does not use
            node.deploy("con_odd", ODD)
            node.broadcast("con_odd", "store", {"key": "k", "value": "v"})
            wait_until(lambda: len(node.events("con_odd", "Stored")) == 1, 10, "it is indexed")
            assert front.opened > 1
            front.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # has nothing to show
            front.cut()
            node.broadcast("con_odd", "store", {"key": "k", "value": "w"})
            wait_until(lambda: "Failed to persist block" in node.log("abci"), 20, "it complains")
            front.context = context
            wait_until(lambda: len(node.events("con_odd", "Stored")) == 2, 30, "it goes on")
            assert PASSWORD not in node.log("abci")
