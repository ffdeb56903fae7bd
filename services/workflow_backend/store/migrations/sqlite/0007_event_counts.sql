-- Events are counted as they come: all of them under no client, and those of each owner.
CREATE TABLE event_counts (
    client TEXT NOT NULL,
    requester TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (client, requester)
) WITHOUT ROWID;
INSERT INTO event_counts SELECT '', '', count(*) FROM events;
INSERT INTO event_counts
SELECT client, requester, count(*) FROM events WHERE client IS NOT NULL GROUP BY client, requester;
