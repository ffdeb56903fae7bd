-- For whom an item was submitted; NULL for nobody, so that items without cost these indexes nothing.
ALTER TABLE items ADD COLUMN client TEXT;
CREATE INDEX items_client ON items (client) WHERE client IS NOT NULL;
CREATE INDEX items_client_status ON items (client, status) WHERE client IS NOT NULL;
CREATE INDEX items_client_updated ON items (client, updated_at) WHERE client IS NOT NULL;
CREATE INDEX items_client_id ON items (client, item_id) WHERE client IS NOT NULL;

ALTER TABLE events ADD COLUMN client TEXT;
CREATE INDEX events_client ON events (client) WHERE client IS NOT NULL;

CREATE TABLE client_counts (
    client TEXT NOT NULL,
    requester TEXT NOT NULL,
    status TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (client, requester, status)
) WITHOUT ROWID;
