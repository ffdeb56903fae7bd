-- Anybody may write any client's word on the chain: a client's lists go by who submitted it, too.
CREATE INDEX items_owner ON items (client, requester, place) WHERE client IS NOT NULL;
CREATE INDEX items_owner_status ON items (client, requester, status, place)
    WHERE client IS NOT NULL;
CREATE INDEX items_owner_changed ON items (client, requester, last_place)
    WHERE client IS NOT NULL;
CREATE INDEX items_owner_id ON items (client, requester, item_id) WHERE client IS NOT NULL;
CREATE INDEX events_owner ON events (client, requester, place) WHERE client IS NOT NULL;
