"""Releases: one archive that holds everything a host runs."""
