-- Activity by what the item is and by who works on it. No worker, no entry: a submission has none.
CREATE INDEX events_kind ON events (kind, place);
CREATE INDEX events_requester ON events (requester, place);
CREATE INDEX events_worker ON events (worker, place) WHERE worker IS NOT NULL;
