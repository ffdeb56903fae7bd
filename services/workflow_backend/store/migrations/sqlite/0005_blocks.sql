-- The blocks that hold events: what tells a history from another, and when each was committed.
-- The contract's times, which items and events have, are those of the commits before theirs.
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    contract_time TEXT NOT NULL,
    time TEXT NOT NULL
);
CREATE INDEX blocks_contract_time ON blocks (contract_time);
CREATE INDEX blocks_time ON blocks (time);

-- The place of an item's last event, so when it last changed.
ALTER TABLE items ADD COLUMN last_place INTEGER;
CREATE INDEX items_changed ON items (last_place);
CREATE INDEX items_status_changed ON items (status, last_place);
CREATE INDEX items_client_changed ON items (client, last_place) WHERE client IS NOT NULL;

-- Up to here each event has its block, and each item its last place. An earlier release does not
-- move it on.
ALTER TABLE projection ADD COLUMN blocks_place INTEGER NOT NULL DEFAULT -1;
