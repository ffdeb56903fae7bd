"""A home that no peer can bring on: what its host knows of later blocks stands against it.

With peers an older home catches up. Alone it ends where it ends, and the chain goes on from there
with other blocks than it had: a validator that has signed the old ones would not sign those, and an
index that has the old ones would keep them.
"""

from pydantic import Field

from ...errors import RecoveryRefused
from ..asking import Object, Request
from .reported import Reported


class Newest(Request):
    """The newest block of the index that the host still has; nothing else of it counts here."""

    height: int
    block_hash: str
    schema_version: int


class Alone(Reported):
    """Where a home ends, and what the host has signed and indexed, in blocks.

    `ends` is what its validator signed last: it has no later block. `signed` is the highest of all
    other homes on the host, and `unreadable` what is wrong with those whose signing state can't be
    read.
    """

    host: str
    folder: str
    ends: int = Field(ge=0)
    signed: int = Field(default=0, ge=0)
    unreadable: list[str] = Field(default_factory=list)
    index: Newest | None = None


def alone(wanted: Alone, *, check: bool) -> Object:
    """Answer that nothing on the host is later than the home; raises RecoveryRefused otherwise."""
    del check
    if wanted.unreadable:
        raise RecoveryRefused(
            f"nobody can tell what the validator of {wanted.host} has signed: "
            f"{'; '.join(wanted.unreadable)}",
            hint=f"move that home out of {wanted.folder}, or bring up peers that can tell",
        )
    if wanted.signed > wanted.ends:
        raise RecoveryRefused(
            f"the home ends at block {wanted.ends}, and a home of {wanted.host} has signed up to "
            f"{wanted.signed}: no peer has the blocks between, and its validator signs none of "
            "them again, so the chain would stand still for ever",
            hint="start the home that is there (start.yml); where that is past help, move it and "
            f"those beside it (.cometbft*) out of {wanted.folder}, which gives those blocks up",
        )
    if wanted.index is not None and wanted.index.height > wanted.ends:
        raise RecoveryRefused(
            f"the home ends at block {wanted.ends}, and the index of {wanted.host} at "
            f"{wanted.index.height}: no peer has the blocks between, the chain will make others, "
            "and the index would keep the old ones",
            hint="take index and projection away first, they are made anew: docs/runbooks.md, "
            "a single validator's older home",
        )
    return {"host": wanted.host, "ends": wanted.ends}
