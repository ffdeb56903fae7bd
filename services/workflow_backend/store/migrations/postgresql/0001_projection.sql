-- Places (block height, transaction, event) are packed into one integer that sorts as they do.
-- Texts compare by their bytes, as in SQLite and in Python.
CREATE TABLE projection (
    id integer PRIMARY KEY CHECK (id = 1),
    chain_id text NOT NULL,
    contract text NOT NULL,
    cursor text NOT NULL,
    height bigint NOT NULL
);

CREATE TABLE items (
    place bigint PRIMARY KEY,
    item_id text COLLATE "C" NOT NULL,
    requester text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    payload_uri text NOT NULL,
    metadata_ref text NOT NULL,
    status text COLLATE "C" NOT NULL,
    worker text COLLATE "C",
    result_uri text,
    failure_reason text,
    created_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL,
    lease_seconds bigint NOT NULL,
    contested_at text
);
CREATE UNIQUE INDEX items_id ON items (item_id);
CREATE INDEX items_status ON items (status, place);
CREATE INDEX items_kind ON items (kind, place);
CREATE INDEX items_requester ON items (requester, place);
CREATE INDEX items_worker ON items (worker, place);
CREATE INDEX items_kind_status ON items (kind, status, place);
CREATE INDEX items_requester_status ON items (requester, status, place);
CREATE INDEX items_worker_status ON items (worker, status, place);
CREATE INDEX items_created ON items (created_at, place);
CREATE INDEX items_updated ON items (updated_at, place);
CREATE INDEX items_status_updated ON items (status, updated_at, place);

CREATE TABLE events (
    place bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    item_id text COLLATE "C",
    kind text COLLATE "C",
    requester text COLLATE "C",
    worker text COLLATE "C",
    data text NOT NULL,
    tx_hash text NOT NULL,
    created_at text COLLATE "C" NOT NULL
);
CREATE INDEX events_item ON events (item_id, place);
CREATE INDEX events_name ON events (name, place);
CREATE INDEX events_created ON events (created_at, place);

CREATE TABLE counts (
    status text PRIMARY KEY,
    number bigint NOT NULL
);
