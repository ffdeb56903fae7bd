"""Preflight as the role asks for it."""

from functools import partial

from workflow_backend.api import token_file
from workflow_backend.operations import preflight as module
from workflow_backend.processor.handlers import configuration

from .inventories import PREFIXES, ROLES

preflight = partial(
    module.preflight,
    read_handlers=partial(configuration.load, elsewhere=True),
    check_token=token_file.require,
)


def request(**other: object) -> dict[str, object]:
    """Return what the role asks, of an inventory without hosts."""
    return {
        "roles": str(ROLES),
        "prefixes": PREFIXES,
        "variables": [],
        "sources": [],
        "playbooks": "/none",
        "folder": "/none",
        "accepted": [],
        "play": [],
        "hosts": {},
        **other,
    }
