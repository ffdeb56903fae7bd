-- For whom an item was submitted; NULL for nobody, so that items without cost these indexes nothing.
ALTER TABLE items ADD COLUMN client text COLLATE "C";
CREATE INDEX items_client ON items (client, place) WHERE client IS NOT NULL;
CREATE INDEX items_client_status ON items (client, status, place) WHERE client IS NOT NULL;
CREATE INDEX items_client_updated ON items (client, updated_at, place) WHERE client IS NOT NULL;
CREATE INDEX items_client_id ON items (client, item_id) WHERE client IS NOT NULL;

ALTER TABLE events ADD COLUMN client text COLLATE "C";
CREATE INDEX events_client ON events (client, place) WHERE client IS NOT NULL;

CREATE TABLE client_counts (
    client text COLLATE "C" NOT NULL,
    requester text COLLATE "C" NOT NULL,
    status text NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (client, requester, status)
);
