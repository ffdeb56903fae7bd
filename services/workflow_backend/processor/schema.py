"""The tables of the processor's journal, one script a version."""

MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS reader (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        chain_id TEXT NOT NULL,
        contract TEXT NOT NULL,
        cursor TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS open_items (item_id TEXT PRIMARY KEY, due REAL NOT NULL);
    CREATE TABLE IF NOT EXISTS results (
        item_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        completed INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (item_id, attempt)
    );
    """,
    """
    ALTER TABLE reader ADD COLUMN swept TEXT NOT NULL DEFAULT '';
    ALTER TABLE open_items ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    DROP INDEX IF EXISTS open_items_due;
    CREATE INDEX open_items_kind_due ON open_items (kind, due);
    CREATE TABLE tries (
        item_id TEXT PRIMARY KEY,
        attempt INTEGER NOT NULL,
        number INTEGER NOT NULL
    );
    """,
    # `tries` stays for an earlier release, to which one may go back.
    """
    CREATE TABLE failed_tries (
        item_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        not_before REAL NOT NULL
    );
    INSERT INTO failed_tries SELECT item_id, number, 0 FROM tries;
    DELETE FROM tries;
    """,
)
