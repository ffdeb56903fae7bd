"""What a node answers, held to a model: nobody has to believe it, so its types have bounds.

What does not fit raises NodeUnavailable, as if the node did not answer at all.
"""

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from ..chain.rpc import Rpc
from ..errors import NodeUnavailable
from .asking import problems

SECONDS = 60.0
"""How long a node may take for all that it is asked at once."""

POLL_SECONDS = 10.0
"""How long it may take for what it is asked again and again."""

PAGE = 100
VALIDATORS = 10_000
"""The most that CometBFT lets a chain have."""

ABSENT = 1
"""How a commit marks a validator whose signature did not come; all else is a signature."""

SIGNED = 2
"""How a commit marks the signature of a validator that was there."""

type Height = Annotated[int, Field(ge=0, le=10**12)]
"""More than a chain makes in a thousand years; CometBFT itself would take a million times that."""

type Digest = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
type Address = Annotated[str, Field(pattern="^[0-9a-fA-F]{40}$"), AfterValidator(str.upper)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class NodeInfo(_Answer):
    """Which node it is."""

    id: str = Field(pattern="^[0-9a-f]{40}$")
    network: str = Field(max_length=50)


class SyncInfo(_Answer):
    """Which blocks it has; the app hash is that behind the newest, empty before the first."""

    earliest_block_height: Height
    latest_block_height: Height
    latest_app_hash: str = Field(pattern="^([0-9a-fA-F]{64})?$")
    catching_up: bool


class ValidatorInfo(_Answer):
    """Whose key it signs with."""

    address: Address


class Status(_Answer):
    """What a node says of itself."""

    node_info: NodeInfo
    sync_info: SyncInfo
    validator_info: ValidatorInfo


class _PublicKey(_Answer):
    value: str = Field(max_length=64)


class _Validator(_Answer):
    pub_key: _PublicKey
    voting_power: int = Field(ge=0, le=2**60)


class _Validators(_Answer):
    validators: list[_Validator] = Field(max_length=PAGE)
    total: int = Field(ge=0, le=VALIDATORS)


class _Signature(_Answer):
    block_id_flag: int
    validator_address: str = Field(max_length=40)


class _BlockId(_Answer):
    hash: Digest


class _Signatures(_Answer):
    block_id: _BlockId
    signatures: list[_Signature] = Field(max_length=VALIDATORS)


class _SignedHeader(_Answer):
    commit: _Signatures


class Commit(_Answer):
    """Who signed a block."""

    signed_header: _SignedHeader

    @property
    def hash(self) -> str:
        """The block's hash, in small letters."""
        return self.signed_header.commit.block_id.hash

    def signers(self, *, nil: bool = False) -> frozenset[str]:
        """The addresses of those who signed it, with `nil` of those who signed anything."""
        return frozenset(
            one.validator_address.upper()
            for one in self.signed_header.commit.signatures
            if (one.block_id_flag != ABSENT if nil else one.block_id_flag == SIGNED)
        )


class _HeaderFields(_Answer):
    app_hash: Digest


class Header(_Answer):
    """A block's header: its app hash is that behind the block before."""

    header: _HeaderFields


def _require_digest(given: bytes) -> bytes:
    if len(given) != 32:
        raise ValueError("it has to be 32 bytes")
    return given


class Results(_Answer):
    """What a block did; here the app hash behind it alone."""

    app_hash: Annotated[Base64Bytes, AfterValidator(_require_digest)]


class Unconfirmed(_Answer):
    """How many transactions wait for a block."""

    n_txs: int = Field(ge=0, le=10**9)


@asynccontextmanager
async def asking(url: str, seconds: float = SECONDS) -> AsyncIterator[Rpc]:
    """Ask a node that nobody has to believe; raises NodeUnavailable where it takes too long."""
    try:
        async with asyncio.timeout(seconds), Rpc(url, is_peer=True) as rpc:
            yield rpc
    except TimeoutError:
        raise NodeUnavailable(f"the node at {url} takes more than {seconds:.0f} s") from None


async def ask[T: BaseModel](rpc: Rpc, kind: type[T], method: str, **params: Any) -> T:
    """Ask for what a model describes."""
    return parse(kind, await rpc.call(method, **params), method)


def parse[T: BaseModel](kind: type[T], answer: Any, method: str) -> T:
    """Hold an answer to its model."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        raise NodeUnavailable(
            f"it answers {method} as no node does: {problems(error)[:300]}", hint=""
        ) from None


async def powers(rpc: Rpc) -> dict[str, int]:
    """Return the power of each validator by the address of its key."""
    found: dict[str, int] = {}
    for page in range(1, VALIDATORS // PAGE + 1):
        answer = await ask(rpc, _Validators, "validators", page=str(page), per_page=str(PAGE))
        found |= {address(one.pub_key.value): one.voting_power for one in answer.validators}
        if len(found) >= answer.total or not answer.validators:
            return found
    raise NodeUnavailable("it tells validators without end", hint="")


def address(public_key: str) -> str:
    """Return the address of a validator's public key, in base64."""
    try:
        key = b64decode(public_key, validate=True)
    except ValueError:
        raise NodeUnavailable("it tells a validator's key that is none", hint="") from None
    return hashlib.sha256(key).hexdigest()[:40].upper()


async def signed(rpc: Rpc, signer: str, heights: range) -> list[int]:
    """Return those of the heights that a validator has signed a vote for."""
    calls = [("commit", {"height": str(height)}) for height in heights]
    found = [parse(Commit, answer, "commit") for answer in await rpc.batch(calls)]
    return [
        height
        for height, commit in zip(heights, found, strict=True)
        if signer in commit.signers(nil=True)
    ]
