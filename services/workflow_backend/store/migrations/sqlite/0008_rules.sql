-- What the second version of the contract keeps of an item.
ALTER TABLE items ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN priority INTEGER NOT NULL DEFAULT 5;
ALTER TABLE items ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN after TEXT NOT NULL DEFAULT '[]';
ALTER TABLE items ADD COLUMN stop_requested_at TEXT;
ALTER TABLE items ADD COLUMN stop_requested_by TEXT;
ALTER TABLE items ADD COLUMN stop_reason TEXT;
ALTER TABLE items ADD COLUMN ended TEXT;
ALTER TABLE items ADD COLUMN digest TEXT;
ALTER TABLE items ADD COLUMN archived_record TEXT;
