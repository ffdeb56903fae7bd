"""Changing what the hosts of a network run: which may be taken down, and when all is well."""
