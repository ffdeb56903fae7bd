"""Of a dump the rows are taken, and no statement of it is run."""

import io
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import dump_rows
from workflow_backend.operations.snapshots.dump_rows import Rows, SequenceValue

HEAD = """--
-- PostgreSQL database dump
--
\\restrict 6aEFvXq9
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

"""
COPY = 'COPY public.t (n, "user", x) FROM stdin;\n'
ROWS = "1\ta\tone\n2\tb\tCOMMIT; DROP SCHEMA public;\n\\\\.\t\\N\t\n"
TAIL = "SELECT pg_catalog.setval('public.t_n_seq', 2, true);\n\\unrestrict 6aEFvXq9\n"


def read(text: str | bytes) -> list[Any]:
    """All that a dump holds, its rows joined."""
    given = text.encode() if isinstance(text, str) else text
    return [
        (part, b"".join(part.chunks)) if isinstance(part, Rows) else part
        for part in dump_rows.read(io.BytesIO(given), "it")
    ]


def test_rows_and_sequences_are_read() -> None:
    (rows, content), value = read(f"{HEAD}{COPY}{ROWS}\\.\n\n{TAIL}")
    assert (rows.schema, rows.table, rows.columns) == ("public", "t", ("n", "user", "x"))
    assert content.decode() == ROWS
    assert value == SequenceValue("public", "t_n_seq", 2, True)
    assert read(HEAD) == []


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_chunks_may_end_anywhere(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_rows, "_CHUNK", chunk)
    found = read(f"{HEAD}{COPY}{ROWS}\\.\n{COPY}\\.\n{TAIL}")
    assert [part[1].decode() for part in found[:2]] == [ROWS, ""]
    assert isinstance(found[2], SequenceValue)


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT; DROP SCHEMA public CASCADE;",
        "CREATE TABLE public.t (n integer DEFAULT pg_read_file('/etc/passwd'));",
        "COPY public.t (n) FROM PROGRAM 'sh';",
        "COPY public.t (n) FROM stdin; COMMIT;",
        "COPY public.t (n) FROM stdin WITH (FORMAT binary);",
        "COPY (SELECT 1) TO stdout;",
        'COPY public."t; DROP" (n) FROM stdin;',
        "SET statement_timeout = 0; COMMIT;",
        "SET x = (SELECT 1);",
        "SELECT pg_catalog.setval('public.t_n_seq', 2, true); COMMIT;",
        "SELECT pg_catalog.set_config('search_path', 'evil', false);",
        "\\! sh",
        "\\restrict a b",
        "DO $$ BEGIN END $$;",
        "\x1b[31m",
    ],
)
def test_any_other_statement_is_refused_by_its_words(statement: str) -> None:
    with pytest.raises(RecoveryRefused, match="a statement that is not a row") as refused:
        read(f"{HEAD}{statement}\n{COPY}{ROWS}\\.\n")
    assert refused.value.explain().isprintable()


def test_rows_that_end_too_early_are_refused() -> None:
    with pytest.raises(RecoveryRefused, match="ends among its rows"):
        read(f"{HEAD}{COPY}{ROWS}")


def test_line_without_an_end_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_rows, "LONGEST_LINE", 1 << 20)
    with pytest.raises(RecoveryRefused, match="a line without an end"):
        read(COPY.encode() + b"x" * (4 << 20))
