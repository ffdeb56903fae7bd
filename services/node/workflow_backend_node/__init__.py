"""Programs that the node's own Python environment runs.

`network` makes a network's genesis and keys, `home` brings a node's home to its configuration,
`app` and `comet` start the two processes of a node, `snapshot` writes the app's state to an archive
and reads one back.
"""
