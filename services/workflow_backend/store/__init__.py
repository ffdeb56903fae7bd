"""The projection's database: what the projector writes and the API reads."""
