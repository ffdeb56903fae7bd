"""Loads the rows of a dump, and nothing else of it, into tables of our own making.

Whoever makes a dump writes SQL into it, for its tables and for each `COPY`, and PostgreSQL's own
programs run that as it stands. So `pg_restore` only writes the rows as a text. Of that text a
closed list of lines is read: rows of known columns of known tables, and how far a sequence is.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import asyncpg

from ...errors import RecoveryRefused

LONGEST_LINE = 256 << 20
_CHUNK = 1 << 20
_MOST_COLUMNS = 256

_NAME = r"[a-z_][a-z0-9_]{0,62}"
_COPY = re.compile(rf'COPY ({_NAME})\.({_NAME}) \(("?{_NAME}"?(?:, "?{_NAME}"?)*)\) FROM stdin;')
_SEQUENCE = re.compile(
    rf"SELECT pg_catalog\.setval\('({_NAME})\.({_NAME})', ([0-9]{{1,18}}), (true|false)\);"
)
# What it says before and between: it is not run, for what it sets is set here.
_IDLE = re.compile(
    r"|--.*|SET [a-z_]+ = [a-zA-Z0-9']+;|SELECT pg_catalog\.set_config\('search_path', '', false\);"
    r"|\\(un)?restrict [A-Za-z0-9]+"
)
_END = rb"\."

# What slows the loading down, and refuses rows before those that they refer to are there.
_LATER = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS first,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
              pg_get_constraintdef(oid)) AS last, 1 AS rank
FROM pg_constraint WHERE contype = 'f' AND connamespace = $1::regnamespace
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid), 0
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = $1::regnamespace
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY rank DESC
"""
_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = $1 AND is_generated = 'NEVER'
"""
_TABLES = """
SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables
WHERE schemaname = $1
"""
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = $1"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table, as `COPY` has them; they have to be read before what comes after."""

    schema: str
    table: str
    columns: tuple[str, ...]
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """How far a sequence is."""

    schema: str
    name: str
    value: int
    called: bool


def read(source: IO[bytes], name: str) -> Iterator[Rows | SequenceValue]:
    """Yield what a dump of rows holds; raises RecoveryRefused for a line that is none of a dump's.

    `name` is what the dump is called where it is refused.
    """
    lines = _Lines(source, name)
    for line in lines:
        text = line.decode(errors="replace")
        if copy := _COPY.fullmatch(text):
            columns = tuple(column.strip('"') for column in copy[3].split(", "))
            if len(columns) > _MOST_COLUMNS:
                raise RecoveryRefused(f"{name} has a table of {len(columns)} columns", hint=_WHY)
            yield Rows(copy[1], copy[2], columns, lines.rows())
        elif value := _SEQUENCE.fullmatch(text):
            yield SequenceValue(value[1], value[2], int(value[3]), value[4] == "true")
        elif not _IDLE.fullmatch(text):
            shown = "".join(c if c.isprintable() else "?" for c in text[:80])
            raise RecoveryRefused(f"{name} holds a statement that is not a row: {shown}", hint=_WHY)


_WHY = "nobody makes such a dump by accident: find out who had it, and use another snapshot"


class _Lines:
    def __init__(self, source: IO[bytes], name: str) -> None:
        self._source = source
        self._name = name
        self._lines: list[bytes] = []
        self._begun: list[bytes] = []
        self._length = 0

    def __iter__(self) -> Iterator[bytes]:
        while self._lines or self._more():
            yield self._lines.pop()

    def rows(self) -> Iterator[bytes]:
        """Yield what comes before the line that ends the rows of a table."""
        while self._lines or self._more():
            lines = self._lines
            lines.reverse()
            ended = _END in lines
            end = lines.index(_END) if ended else len(lines)
            if end:
                yield b"\n".join(lines[:end]) + b"\n"
            self._lines = lines[end + 1 :][::-1]
            if ended:
                return
        raise RecoveryRefused(f"{self._name} ends among its rows", hint="use another snapshot")

    def _more(self) -> bool:
        """Read whole lines, the next one last; tell whether there were any."""
        while chunk := self._source.read(_CHUNK):
            *whole, rest = chunk.split(b"\n")
            if whole:
                whole[0] = b"".join([*self._begun, whole[0]])
                self._begun, self._length = [], 0
                self._lines = whole[::-1]
            self._begun.append(rest)
            self._length += len(rest)
            if self._length > LONGEST_LINE:
                raise RecoveryRefused(f"{self._name} has a line without an end", hint=_WHY)
            if whole:
                return True
        if rest := b"".join(self._begun):
            self._lines, self._begun = [rest], []
            return True
        return False


async def load(
    connection: asyncpg.Connection,
    schema: str,
    statements: Sequence[str],
    parts: Iterable[Rows | SequenceValue],
    name: str,
) -> None:
    """Make the tables of a schema by statements of our own, and put a dump's rows into them.

    It runs within the caller's transaction. Raises RecoveryRefused for rows of anything else.
    """
    await connection.execute(f"SET LOCAL search_path = {schema}")
    for statement in statements:
        await connection.execute(statement)
    later = await connection.fetch(_LATER, schema)
    for one in later:
        await connection.execute(one["first"])
    # A statement may leave rows of its own, and the dump has those rows too.
    if tables := await connection.fetchval(_TABLES, schema):
        await connection.execute(f"TRUNCATE {tables}")
    columns: dict[str, set[str]] = {}
    for row in await connection.fetch(_COLUMNS, schema):
        columns.setdefault(row["table_name"], set()).add(row["column_name"])
    sequences = {row["sequencename"] for row in await connection.fetch(_SEQUENCES, schema)}
    for part in parts:
        if isinstance(part, SequenceValue):
            if part.schema != schema or part.name not in sequences:
                raise RecoveryRefused(f"{name} has a sequence {part.name} of others", hint=_WHY)
            place = f"{schema}.{part.name}"
            await connection.execute(
                "SELECT setval($1::text::regclass, $2, $3)", place, part.value, part.called
            )
            continue
        known = columns.get(part.table, set()) if part.schema == schema else set()
        if not known or not set(part.columns) <= known:
            raise RecoveryRefused(
                f"{name} has rows of {part.schema}.{part.table} that this release does not know",
                hint="restore it with the release that made it",
            )
        await connection.copy_to_table(
            part.table,
            schema_name=schema,
            columns=part.columns,
            source=_chunks(part),
            format="text",
        )
    for one in reversed(later):
        await connection.execute(one["last"])


async def _chunks(rows: Rows) -> AsyncIterator[bytes]:
    for chunk in rows.chunks:
        yield chunk
