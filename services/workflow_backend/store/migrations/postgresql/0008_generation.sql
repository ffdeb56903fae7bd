-- Tells a projection from one that was built in its place and has come as far.
ALTER TABLE projection ADD COLUMN generation text NOT NULL DEFAULT '';
