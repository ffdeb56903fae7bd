-- What the second version of the contract keeps of an item.
ALTER TABLE items ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN priority bigint NOT NULL DEFAULT 5;
ALTER TABLE items ADD COLUMN not_before bigint NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN after text NOT NULL DEFAULT '[]';
ALTER TABLE items ADD COLUMN stop_requested_at text;
ALTER TABLE items ADD COLUMN stop_requested_by text;
ALTER TABLE items ADD COLUMN stop_reason text;
ALTER TABLE items ADD COLUMN ended text;
ALTER TABLE items ADD COLUMN digest text;
ALTER TABLE items ADD COLUMN archived_record text;
