"""Snapshots of a host: the app's state, the index and the projection, signed as one.

`making` makes one, `signatures` and `verifying` say whether it is to be trusted, `restoring` puts
one in the place of a state, `drill` tries one out, `levels` compares the heights afterwards.
docs/snapshots.md tells how they go together.
"""
