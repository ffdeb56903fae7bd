"""What a PostgreSQL DSN says, in either of its forms."""

import pytest

from workflow_backend.operations.dsn import Dsn, is_local


def parsed(text: str) -> Dsn:
    dsn = Dsn.parse(text)
    assert dsn is not None
    return dsn


def test_dsn_of_an_address_has_its_parts_unquoted() -> None:
    dsn = parsed("postgresql://me:p%40ss@[fd00::5]:6000/xian?sslmode=verify-full")
    assert (dsn.user, dsn.password, dsn.host, dsn.port) == ("me", "p@ss", "fd00::5", 6000)
    assert (dsn.database, dsn.options) == ("xian", {"sslmode": "verify-full"})
    assert dsn.is_address
    assert not dsn.is_local


def test_dsn_of_words_has_its_parts() -> None:
    dsn = parsed("host=db port=6000 user=me password='two words' dbname=xian")
    assert (dsn.user, dsn.password, dsn.host, dsn.port) == ("me", "two words", "db", 6000)
    assert dsn.database == "xian"
    assert not dsn.is_address


def test_dsn_of_a_socket_is_local_and_may_have_its_password_as_an_option() -> None:
    dsn = parsed("postgresql:///xian?host=/run/postgres&user=me&password=hush")
    assert (dsn.host, dsn.password, dsn.is_local) == ("/run/postgres", "hush", True)


def test_dsn_with_several_servers_is_local_only_if_all_are() -> None:
    assert parsed("postgresql://me@127.0.0.1:1,localhost:2/xian").is_local
    dsn = parsed("postgresql://me@127.0.0.1:1,db:2/xian")
    assert not dsn.is_local
    assert dsn.servers == ("127.0.0.1:1", "db:2")


@pytest.mark.parametrize("text", ["postgresql://me@[::1/xian", "postgresql://me@db:port/xian"])
def test_dsn_that_can_not_be_read_is_none(text: str) -> None:
    assert Dsn.parse(text) is None


def test_server_without_brackets_is_an_ipv6_address() -> None:
    assert is_local("::1")
    assert not is_local("fd00::5")
