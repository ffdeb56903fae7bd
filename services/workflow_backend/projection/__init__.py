"""The projector: turns indexed events into a local projection."""
