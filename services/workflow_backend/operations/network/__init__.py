"""A network's nodes as the control machine sees them: shared by upgrades, recovery, snapshots."""
