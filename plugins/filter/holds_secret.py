"""Whether a DSN may stand where everybody can read it."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

DOCUMENTATION = """
name: holds_secret
short_description: Whether a PostgreSQL DSN holds a password of any kind
description:
  - That of the account, in its place or as a parameter, or that of a client's key, C(sslpassword).
  - What can't be read as a DSN may hold one.
options:
  _input: {description: The DSN, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
secret: "{{ 'postgresql://me:hush@db/xian' | xian.workflow_backend.holds_secret }}"
"""
RETURN = """
_value: {description: Whether it does, type: bool}
"""


def holds_secret(dsn: str) -> bool:
    """Return whether it does; see above."""
    try:
        parts = urlsplit(dsn)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        password = parts.password
    except ValueError:
        return True
    if parts.scheme not in {"postgres", "postgresql"} or parts.fragment:
        return True
    return password is not None or any("password" in name.lower() for name, _ in given)


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"holds_secret": holds_secret}
