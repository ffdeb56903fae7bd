"""Snapshots of a host: the app's state, the index and the projection, signed together.

`create` makes one; `signatures` and `verify` decide whether it can be trusted; `prepare_restore`
and `swap` put its state and index in the place of a node's; `drill` tries it out; `heights`
compares chain, index and projection afterwards. docs/snapshots.md is the operator's guide.
"""
