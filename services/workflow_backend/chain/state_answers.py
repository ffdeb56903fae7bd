"""What a node tells of the contract's state beside items: one model for each, with bounds.

The control machine asks the nodes of hosts, and none of them has to be believed.
"""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, RootModel, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from .cometbft_answers import Answer

KEYS = 200
"""Keys of the state that a node returns at once at most."""

LATEST_SECONDS = 253_402_300_799
"""The last second of the year 9999, as the contract counts."""

type _Key = Annotated[str, Field(min_length=1, max_length=256)]
type _Account = Annotated[str, Field(pattern="^[0-9a-z_]{1,64}$")]
type _Kind = Annotated[str, Field(pattern=r"^([0-9A-Za-z_-]{1,64}|\*)$")]
type _Line = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=512)]


class KeyPage(Answer):
    """Keys in rising order, and whether there are more behind them."""

    items: list[_Key] = Field(max_length=KEYS)
    has_more: bool

    @model_validator(mode="after")
    def _require_progress(self) -> Self:
        if any(one >= other for one, other in pairwise(self.items)):
            raise ValueError("the keys do not rise")
        if self.has_more and not self.items:
            raise ValueError("there are more keys behind none")
        return self


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of claims: who paused them, when (the contract's time) and why.

    `until` is when it ends, in seconds since 1970, 0 where it lasts until claims are resumed.
    """

    actor: _Account
    reason: _Line
    until: Annotated[int, Field(ge=0, le=LATEST_SECONDS)]
    paused_at: Annotated[str, Field(max_length=64)]


class Pauses(RootModel[Annotated[dict[_Kind, Pause], Field(max_length=64)]]):
    """The pauses of claims by kind, `*` for all kinds."""


ACCOUNT: TypeAdapter[str] = TypeAdapter(_Account)
"""An account: 64 hexadecimal digits, or the name of a contract."""
