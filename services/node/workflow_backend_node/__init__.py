"""Programs that the node's own Python environment runs.

Started by units: `app` and `comet` launch the two processes of a node, `database` launches
PostgreSQL. Called by playbooks, JSON in and out: `network` makes a network's genesis and keys,
`home` and `cluster` make a node's home and its database, `snapshot` exports and imports the app's
state, `push` and `fetch` replace a home, `rest` reads a stopped node.

Units and playbooks start these by name, also from an earlier release after a rollback. So their
names stay; all other modules are internal.
"""
