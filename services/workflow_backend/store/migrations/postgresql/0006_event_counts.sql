-- Events are counted as they come: all of them under no client, and those of each owner.
CREATE TABLE event_counts (
    client text COLLATE "C" NOT NULL,
    requester text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (client, requester)
);
INSERT INTO event_counts SELECT '', '', count(*) FROM events;
INSERT INTO event_counts
SELECT client, requester, count(*) FROM events WHERE client IS NOT NULL GROUP BY client, requester;
