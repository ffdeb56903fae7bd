-- An item is kept where its first event stands, so that a table in the order of its key is newest
-- last and every index goes on in that order. Rows by status are counted as they change.
CREATE TABLE placed_items (
    place INTEGER PRIMARY KEY,
    item_id TEXT NOT NULL,
    requester TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload_uri TEXT NOT NULL,
    metadata_ref TEXT NOT NULL,
    status TEXT NOT NULL,
    worker TEXT,
    result_uri TEXT,
    failure_reason TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    lease_seconds INTEGER NOT NULL,
    contested_at TEXT
);
INSERT INTO placed_items
SELECT first_place, item_id, requester, kind, payload_uri, metadata_ref, status, worker,
    result_uri, failure_reason, created_at, updated_at, attempt, lease_seconds, contested_at
FROM items ORDER BY first_place;
DROP TABLE items;
ALTER TABLE placed_items RENAME TO items;
CREATE UNIQUE INDEX items_id ON items (item_id);
CREATE INDEX items_status ON items (status);
CREATE INDEX items_kind ON items (kind);
CREATE INDEX items_requester ON items (requester);
CREATE INDEX items_worker ON items (worker);
CREATE INDEX items_kind_status ON items (kind, status);
CREATE INDEX items_requester_status ON items (requester, status);
CREATE INDEX items_worker_status ON items (worker, status);
CREATE INDEX items_created ON items (created_at);
CREATE INDEX items_updated ON items (updated_at);
CREATE INDEX items_status_updated ON items (status, updated_at);

ALTER TABLE events ADD COLUMN kind TEXT;
ALTER TABLE events ADD COLUMN requester TEXT;
ALTER TABLE events ADD COLUMN worker TEXT;
UPDATE events SET
    kind = (SELECT kind FROM items WHERE items.item_id = events.item_id),
    requester = (SELECT requester FROM items WHERE items.item_id = events.item_id),
    worker = data ->> 'worker';
DROP INDEX events_of_item;
CREATE INDEX events_item ON events (item_id);
CREATE INDEX events_name ON events (name);
CREATE INDEX events_created ON events (created_at);

CREATE TABLE counts (
    status TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counts SELECT status, count(*) FROM items GROUP BY status;
