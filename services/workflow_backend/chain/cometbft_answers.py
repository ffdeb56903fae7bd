"""CometBFT's answers: one model for each, with bounds, because no node has to be believed."""

import hashlib
import json
from base64 import b64decode
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasPath,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
)

VALIDATORS = 10_000
"""The most validators that CometBFT lets a chain have."""

VALIDATORS_PAGE = 100
"""The most validators that a node gives at once."""

HEADERS_PAGE = 20
"""The most headers that a node gives at once."""

ABSENT = 1
"""How a commit marks a validator whose vote did not arrive; every other mark has a signature."""

SIGNED = 2
"""How a commit marks a validator's signature of the block."""


def _require_digest(given: bytes) -> bytes:
    if len(given) != 32:
        raise ValueError("it has to be 32 bytes")
    return given


def _address(public_key: str) -> str:
    """Return the address of a validator's public key, which is given in base64."""
    key = b64decode(public_key, validate=True)
    return hashlib.sha256(key).hexdigest()[:40].upper()


type Height = Annotated[int, Field(ge=0, le=10**12)]
"""More blocks than a chain makes in a thousand years; CometBFT itself would take far more."""

type Digest = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
type OptionalDigest = Annotated[
    str, Field(pattern="^([0-9a-fA-F]{64})?$"), AfterValidator(str.lower)
]
type Address = Annotated[str, Field(pattern="^[0-9a-fA-F]{40}$"), AfterValidator(str.upper)]
type Base64Digest = Annotated[Base64Bytes, AfterValidator(_require_digest)]
type ChainId = Annotated[str, Field(max_length=50)]
type Time = Annotated[str, Field(max_length=64)]


class Answer(BaseModel):
    """An answer of a node; what a model does not name is left out of it."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True
    )


class ChainStatus(Answer):
    """Where a node is: its chain, its newest block and whether it is still catching up.

    `base` is the oldest block that it still has. `app_hash` is the one after its newest block, and
    empty before the first block. `validator` is the address of the key that it signs with.
    """

    chain_id: ChainId = Field(validation_alias=AliasPath("node_info", "network"))
    node_id: str = Field(validation_alias=AliasPath("node_info", "id"), pattern="^[0-9a-f]{40}$")
    height: Height = Field(validation_alias=AliasPath("sync_info", "latest_block_height"))
    block_time: Time = Field(validation_alias=AliasPath("sync_info", "latest_block_time"))
    catching_up: bool = Field(validation_alias=AliasPath("sync_info", "catching_up"))
    base: Height = Field(validation_alias=AliasPath("sync_info", "earliest_block_height"))
    app_hash: OptionalDigest = Field(validation_alias=AliasPath("sync_info", "latest_app_hash"))
    validator: Address = Field(validation_alias=AliasPath("validator_info", "address"))


class Validator(Answer):
    """One validator: its address is derived from its key, whatever the node says of it."""

    address: Annotated[str, Field(max_length=64), AfterValidator(_address)] = Field(
        validation_alias=AliasPath("pub_key", "value")
    )
    power: int = Field(validation_alias="voting_power", ge=0, le=2**60)


class ValidatorPage(Answer):
    """One page of the validators, and how many there are in all."""

    validators: list[Validator] = Field(max_length=VALIDATORS_PAGE)
    total: int = Field(ge=0, le=VALIDATORS)


class Vote(Answer):
    """One validator's place in a commit."""

    mark: int = Field(validation_alias="block_id_flag")
    address: str = Field(validation_alias="validator_address", max_length=40)
    time: Time = Field("", validation_alias="timestamp")


class Commit(Answer):
    """The votes for a block; `hash` is the block's, in lower case."""

    hash: Digest = Field(validation_alias=AliasPath("signed_header", "commit", "block_id", "hash"))
    votes: list[Vote] = Field(
        validation_alias=AliasPath("signed_header", "commit", "signatures"), max_length=VALIDATORS
    )

    @property
    def signers(self) -> frozenset[str]:
        """The addresses of the validators that signed this block."""
        return frozenset(vote.address.upper() for vote in self.votes if vote.mark == SIGNED)

    @property
    def voters(self) -> frozenset[str]:
        """The addresses of the validators that signed a vote, if only one for no block."""
        return frozenset(vote.address.upper() for vote in self.votes if vote.mark != ABSENT)

    @property
    def vote_times(self) -> list[str]:
        """When the votes were signed."""
        return [vote.time for vote in self.votes if vote.mark != ABSENT]


class Header(Answer):
    """A block's header. Its app hash is the one after the block before."""

    app_hash: OptionalDigest = Field(validation_alias=AliasPath("header", "app_hash"))
    time: Time = Field("", validation_alias=AliasPath("header", "time"))


class HeaderSummary(Answer):
    """One header of a page of them."""

    chain_id: ChainId = Field(validation_alias=AliasPath("header", "chain_id"))
    height: Height = Field(validation_alias=AliasPath("header", "height"))
    time: Time = Field(validation_alias=AliasPath("header", "time"))
    hash: Digest = Field(validation_alias=AliasPath("block_id", "hash"))


class HeaderPage(Answer):
    """Headers in falling order, and the height of the node's newest block."""

    height: Height = Field(validation_alias="last_height")
    headers: list[HeaderSummary] = Field(validation_alias="block_metas", max_length=HEADERS_PAGE)


class BlockMeta(HeaderSummary):
    """A header with what binds the block's transactions to it: their number and the hash of all."""

    transaction_count: int = Field(validation_alias="num_txs", ge=0, le=10**9)
    data_hash: OptionalDigest = Field(validation_alias=AliasPath("header", "data_hash"))


class BlockMetaPage(Answer):
    """Headers in falling order, with what binds each block's transactions to it."""

    metas: list[BlockMeta] = Field(validation_alias="block_metas", max_length=HEADERS_PAGE)


class Block(Answer):
    """A block's hash, and those of its transactions, in lower case."""

    hash: Digest = Field(validation_alias=AliasPath("block_id", "hash"))
    decoded: list[Base64Bytes] | None = Field(validation_alias=AliasPath("block", "data", "txs"))

    @property
    def transactions(self) -> frozenset[str]:
        """The hashes of its transactions."""
        return frozenset(hashlib.sha256(one).hexdigest() for one in self.decoded or [])


class BlockResults(Answer):
    """What a block did: here only the app hash after it."""

    app_hash: Base64Digest


class Mempool(Answer):
    """How many transactions wait for a block."""

    transactions: int = Field(validation_alias="n_txs", ge=0, le=10**9)


class AppInfo(Answer):
    """The newest block that the app has."""

    height: Height = Field(0, validation_alias=AliasPath("response", "last_block_height"))


class Broadcast(Answer):
    """Whether the app takes a transaction into the mempool: code 0, or why not."""

    code: int
    log: str | None = ""


class CommittedTransaction(Answer):
    """A transaction that is in a block, and what came of it: `data` is the app's receipt."""

    height: Height
    code: int = Field(validation_alias=AliasPath("tx_result", "code"))
    data: str | None = Field(None, validation_alias=AliasPath("tx_result", "data"))
    log: str | None = Field("", validation_alias=AliasPath("tx_result", "log"))

    @property
    def receipt(self) -> dict[str, Any]:
        """The app's receipt, empty where there is none; raises ValueError for what is not JSON."""
        receipt: dict[str, Any] = json.loads(b64decode(self.data)) if self.data else {}
        return receipt

    @property
    def failure(self) -> str | None:
        """Why it failed, None where it did not."""
        if self.code == 0:
            return None
        return str(self.receipt.get("result") or self.log or "no reason given")
