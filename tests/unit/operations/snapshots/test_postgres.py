"""How PostgreSQL's programs get a database, and a schema that takes another's place."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import pytest
from postgres_harness import running_postgres
from toolchain_harness import Toolchain

from workflow_backend.errors import RecoveryRefused, SettingError
from workflow_backend.operations.snapshots import postgres
from workflow_backend.operations.snapshots.postgres import (
    Database,
    DatabaseFailed,
    Schema,
    environment,
)

TABLE = "CREATE TABLE t (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text)"


@pytest.mark.parametrize(
    ("dsn", "found"),
    [
        ("postgresql:///xian?host=/run/pg&user=me", {"HOST": "/run/pg", "USER": "me"}),
        ("postgres://me:p%40ss@h:5433/xian", {"HOST": "h", "PORT": "5433", "PASSWORD": "p@ss"}),
        ("postgresql://h/xian?sslmode=verify-full", {"SSLMODE": "verify-full"}),
    ],
)
def test_dsn_becomes_an_environment(dsn: str, found: dict[str, str]) -> None:
    variables = environment(dsn, "DSN")
    assert variables["PGDATABASE"] == "xian"
    assert {f"PG{name}": value for name, value in found.items()}.items() <= variables.items()


@pytest.mark.parametrize("dsn", ["", "secret", "http://h/secret", "postgresql://h:secret/x"])
def test_dsn_that_is_none_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(SettingError, match="DSN is not a PostgreSQL DSN") as raised:
        environment(dsn, "DSN")
    assert "secret" not in raised.value.explain()


def test_parameter_that_would_be_lost_is_named() -> None:
    with pytest.raises(SettingError, match="'options', which is not known"):
        environment("postgresql:///x?options=secret", "DSN")


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with running_postgres() as dsn:
        yield dsn


def one(condition: str = "true", *, table: str = TABLE) -> Schema:
    """The schema that the dumps here are of."""
    return Schema("one", [table, "CREATE INDEX i ON t (x)"], condition)


@pytest.fixture
def database(dsn: str) -> Database:
    """A database with one row in `one.t`."""
    database = Database(dsn, "DSN", Path(Toolchain()["postgres_bin"]))
    database.run(
        *(f"DROP SCHEMA IF EXISTS {name} CASCADE" for name in ("one", "aside")),
        "CREATE SCHEMA one",
        "CREATE TABLE one.t (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text)",
        "INSERT INTO one.t (x) VALUES ('first')",
    )
    return database


def rows(database: Database, schema: str = "one") -> int:
    async def count(connection: asyncpg.Connection) -> int:
        return int(await connection.fetchval(f"SELECT count(*) FROM {schema}.t"))  # noqa: S608

    return database.ask(count)


async def nothing(_: asyncpg.Connection) -> None:
    pass


def test_schema_takes_anothers_place_and_gives_it_back(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    database.dump("one", dump, nothing)
    database.run("INSERT INTO one.t (x) VALUES ('second')")
    database.load_and_swap(dump, one("SELECT count(*) = 1 FROM one.t"), "aside")
    assert (rows(database), rows(database, "aside")) == (1, 2)
    database.run("INSERT INTO one.t (x) VALUES ('goes on')")
    database.put_back("one", "aside")
    assert rows(database) == 2
    assert not database.has_schema("aside")


def test_schema_that_is_not_there_may_come(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    database.dump("one", dump, nothing)
    database.run("DROP SCHEMA one CASCADE")
    database.load_and_swap(dump, one(), "aside")
    assert rows(database) == 1
    assert database.has_schema("aside")


def test_dump_is_loaded_completely_or_not_at_all(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    database.run("INSERT INTO one.t (x) SELECT md5(i::text) FROM generate_series(1, 20000) i")
    database.dump("one", dump, nothing)
    with pytest.raises(DatabaseFailed, match="is not what the manifest tells"):
        database.load_and_swap(dump, one("SELECT count(*) = 2 FROM one.t"), "aside")
    postgres.check(dump, Path(Toolchain()["postgres_bin"]))
    whole = dump.read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 2000):
        dump.write_bytes(whole[:length])
        with pytest.raises(RecoveryRefused, match="truncated or damaged"):
            database.load_and_swap(dump, one(), "aside")
        with pytest.raises(RecoveryRefused, match="truncated or damaged"):
            postgres.check(dump, Path(Toolchain()["postgres_bin"]))
    assert rows(database) == 20001
    assert not database.has_schema("aside")


def test_dump_is_of_one_moment(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "dump"

    async def count_and_disturb(connection: asyncpg.Connection) -> int:
        found = int(await connection.fetchval("SELECT count(*) FROM one.t"))
        other = await asyncpg.connect(database._dsn)
        await other.execute("INSERT INTO one.t (x) VALUES ('meanwhile')")
        await other.close()
        return found

    assert database.dump("one", dump, count_and_disturb) == 1
    assert rows(database) == 2
    database.load_and_swap(dump, one("SELECT count(*) = 1 FROM one.t"), "aside")


def test_databases_owner_needs_to_be_no_superuser(
    dsn: str, database: Database, tmp_path: Path
) -> None:
    async def make(connection: asyncpg.Connection) -> None:
        await connection.execute("CREATE ROLE plain LOGIN")
        await connection.execute("CREATE DATABASE plain OWNER plain")

    database.ask(make)
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query)) | {"user": "plain"}
    plain = f"postgresql:///plain?{urlencode(query)}"
    owned = Database(plain, "DSN", Path(Toolchain()["postgres_bin"]))
    owned.run("CREATE TABLE t (x text)", "INSERT INTO t VALUES ('first')")
    dump = tmp_path / "dump"
    plain_schema = Schema("public", ["CREATE TABLE t (x text)"], "SELECT count(*) = 1 FROM t")
    for _ in range(2):
        owned.dump("public", dump, nothing)
        owned.load_and_swap(dump, plain_schema, "aside")
        owned.run("DROP SCHEMA aside CASCADE", "CREATE TABLE more (x text)", "DROP TABLE more")
    owned.load_and_swap(dump, plain_schema, "aside")
    owned.put_back("public", "aside")
    assert rows(owned, "public") == 1


def test_database_that_is_not_there(tmp_path: Path) -> None:
    gone = Database(f"postgresql:///x?host={tmp_path}&user=me", "DSN", Path("/nowhere"))
    with pytest.raises(DatabaseFailed, match="does not answer"):
        gone.size()


def indexes(database: Database) -> int:
    async def count(connection: asyncpg.Connection) -> int:
        found = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'one'"
        return int(await connection.fetchval(found))

    return database.ask(count)


def test_tables_are_made_here_with_keys_indexes_and_sequences(
    database: Database, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    database.run(
        "INSERT INTO one.t (x) SELECT 'x' FROM generate_series(1, 9)",
        "CREATE TABLE one.a (t_n int REFERENCES one.t, y int GENERATED ALWAYS AS (t_n + 1) STORED)",
        "INSERT INTO one.a (t_n) VALUES (7)",  # is dumped before what it refers to
    )
    database.dump("one", dump, nothing)
    a = "CREATE TABLE a (t_n int REFERENCES t, y int GENERATED ALWAYS AS (t_n + 1) STORED)"
    schema = Schema("one", [TABLE, "CREATE INDEX i ON t (x)", a], "SELECT y = 8 FROM a")
    database.load_and_swap(dump, schema, "aside")
    assert (rows(database), indexes(database)) == (10, 2)
    database.run("INSERT INTO one.t (x) VALUES ('goes on where the sequence was')")
    with pytest.raises(DatabaseFailed, match="foreign key"):
        database.run("INSERT INTO one.a (t_n) VALUES (99)")


def altered(dump: Path, before: str, after: str) -> None:
    """Put a statement in the place of one of the dump's, which keeps its length."""
    assert dump.read_bytes().count(before.encode()) == 1
    dump.write_bytes(dump.read_bytes().replace(before.encode(), after.ljust(len(before)).encode()))


def test_dump_statements_are_never_run(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    database.dump("one", dump, nothing)
    altered(dump, "CREATE TABLE one.t (\n    n integer NOT", "COMMIT; DROP SCHEMA one CASCADE;--")
    database.load_and_swap(dump, one("SELECT count(*) = 1 FROM one.t"), "aside")
    assert (rows(database), rows(database, "aside")) == (1, 1)
    database.put_back("one", "aside")

    altered(dump, "COPY one.t (n, x) FROM stdin", "COMMIT; DROP TABLE one.t; --")
    with pytest.raises(RecoveryRefused, match="a statement that is not a row: COMMIT; DROP TABLE"):
        database.load_and_swap(dump, one(), "aside")
    assert rows(database) == 1
    assert not database.has_schema("aside")


def test_rows_of_what_this_release_does_not_have_are_refused(
    database: Database, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    database.run("ALTER TABLE one.t ADD more text")
    database.dump("one", dump, nothing)
    with pytest.raises(RecoveryRefused, match=r"rows of one\.t that this release does not know"):
        database.load_and_swap(dump, one(), "aside")
    assert not database.has_schema("aside")


def test_dump_whose_comparison_fails_is_rolled_back(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    database.dump("one", dump, nothing)

    async def refuses(connection: asyncpg.Connection) -> None:
        assert await connection.fetchval("SELECT count(*) FROM t") == 1
        raise RecoveryRefused("another chain's")

    with pytest.raises(RecoveryRefused, match="another chain's"):
        database.load_and_swap(dump, Schema("one", [TABLE], "true", refuses), "aside")
    assert not database.has_schema("aside")
