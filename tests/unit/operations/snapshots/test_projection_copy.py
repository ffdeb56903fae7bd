"""A projection's file of another host is read with a limit, and nothing in it is run."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import projection_copy
from workflow_backend.operations.snapshots.manifest import STATE
from workflow_backend.operations.snapshots.projection_copy import count_items, opened

from . import samples

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
VIEW = "CREATE VIEW {name} (chain_id) AS " + ENDLESS


def changed(path: Path, *statements: str) -> Path:
    """A projection's file that somebody changed."""
    samples.projection(path)
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
    return path


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection_copy, "SECONDS", 2.0)


def test_items_of_a_good_copy_are_counted(tmp_path: Path) -> None:
    assert count_items(changed(tmp_path / "good.sqlite")) == 0


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE projection", VIEW.format(name="projection")),
        (VIEW.format(name="more"),),
        ("CREATE TRIGGER t AFTER INSERT ON items BEGIN SELECT 1; END",),
        ("DROP TABLE projection",),
        ("DROP TABLE projection", "CREATE VIRTUAL TABLE projection USING fts5(chain_id)"),
    ],
)
def test_copy_with_other_things_than_tables_is_refused(
    tmp_path: Path, statements: tuple[str, ...]
) -> None:
    path = changed(tmp_path / "odd.sqlite", *statements)
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    samples.state(sealed / STATE)
    with pytest.raises(RecoveryRefused, match=r"is not a projection: (it has a|projection is not)"):
        projection_copy.check(path, samples.seal(sealed))


def test_copy_that_takes_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection_copy, "SECONDS", 0.2)
    path = changed(tmp_path / "slow.sqlite")
    with (
        pytest.raises(RecoveryRefused, match="it takes more than 0 s"),
        opened(path, "items") as database,
    ):
        database.execute(ENDLESS).fetchone()


def test_copy_with_an_immense_value_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(projection_copy._LIMITS, sqlite3.SQLITE_LIMIT_LENGTH, 1 << 20)
    path = changed(
        tmp_path / "large.sqlite",
        "CREATE TABLE more (value)",
        "INSERT INTO more VALUES (zeroblob(2 << 20))",
    )
    with (
        pytest.raises(RecoveryRefused, match="is not a projection: string or blob too big"),
        opened(path, "more") as database,
    ):
        database.execute("SELECT value FROM more").fetchone()
