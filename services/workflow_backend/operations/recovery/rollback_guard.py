"""The guard before a home that no peer can bring up to date: nothing on its host may be later.

With peers an older home catches up. Without any it ends where it ends, and the chain goes on from
there with other blocks than before. A validator that signed the old blocks would not sign those,
and an index that has the old blocks would keep them.
"""

from pydantic import Field

from ...errors import RecoveryRefused
from ..network.report import Reported
from ..requests import Object, Request


class IndexedBlock(Request):
    """The newest block of an index that a host still has."""

    height: int
    block_hash: str
    schema_version: int


class RollbackGuard(Reported):
    """The newest block of a home, and of whatever else its host has signed and indexed.

    `home_height` is what the home's validator signed last: the home has no later block.
    `signed_height` is the highest of all other homes on the host, and `unreadable` says what is
    wrong with homes whose signing state can't be read.
    """

    host: str
    folder: str
    home_height: int = Field(ge=0)
    signed_height: int = Field(default=0, ge=0)
    unreadable: list[str] = Field(default_factory=list)
    index: IndexedBlock | None = None


def require_no_rollback(request: RollbackGuard, *, check: bool) -> Object:
    """Refuse a home that ends below what the host has signed or indexed; no peer has the rest."""
    del check
    if request.unreadable:
        raise RecoveryRefused(
            f"nobody can tell what the validator of {request.host} has signed: "
            f"{'; '.join(request.unreadable)}",
            hint=f"move that home out of {request.folder}, or bring up peers that can tell",
        )
    if request.signed_height > request.home_height:
        raise RecoveryRefused(
            f"the home ends at block {request.home_height}, and a home of {request.host} has "
            f"signed up to {request.signed_height}: no peer has the blocks between, and its "
            "validator signs none of them again, so the chain would stand still for ever",
            hint="start the home that is there (start.yml); where that is past help, move it and "
            f"those beside it (.cometbft*) out of {request.folder}, which gives those blocks up",
        )
    if request.index is not None and request.index.height > request.home_height:
        raise RecoveryRefused(
            f"the home ends at block {request.home_height}, and the index of {request.host} at "
            f"{request.index.height}: no peer has the blocks between, the chain will make others, "
            "and the index would keep the old ones",
            hint="remove index and projection first, they are rebuilt: docs/runbooks.md, "
            "a single validator's older home",
        )
    return {"host": request.host, "home_height": request.home_height}
