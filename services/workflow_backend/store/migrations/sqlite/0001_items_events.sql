-- Places (block height, transaction, event) are packed into one integer that sorts as they do.
CREATE TABLE projection (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    chain_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    cursor TEXT NOT NULL,
    height INTEGER NOT NULL
);

CREATE TABLE items (
    item_id TEXT PRIMARY KEY,
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
    contested_at TEXT,
    first_place INTEGER NOT NULL
);
CREATE INDEX items_newest ON items (first_place);
CREATE INDEX items_status_newest ON items (status, first_place);

CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    item_id TEXT,
    data TEXT NOT NULL,
    tx_hash TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX events_of_item ON events (item_id, place);
