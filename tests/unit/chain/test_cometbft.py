"""CometBFT's answers are taken as they are written, and only within bounds."""

import base64
import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from workflow_backend.chain.cometbft import CometBft
from workflow_backend.chain.cometbft_answers import (
    VALIDATORS,
    VALIDATORS_PAGE,
    BlockResults,
    ChainStatus,
)
from workflow_backend.errors import NodeUnavailable


def test_results_give_the_app_hash_as_cometbft_writes_it() -> None:
    results = BlockResults.model_validate({"app_hash": base64.b64encode(b"x" * 32).decode()})
    assert results.app_hash == b"x" * 32


@pytest.mark.parametrize("given", ["", base64.b64encode(b"x" * 31).decode(), "x" * 32, 7, None])
def test_results_refuse_an_app_hash_of_another_length(given: object) -> None:
    with pytest.raises(ValidationError):
        BlockResults.model_validate({"app_hash": given})


class Pages:
    """A node that has another page of validators whenever it is asked, and claims a total."""

    url = "http://node"

    def __init__(self, total: int, *, each: int = VALIDATORS_PAGE) -> None:
        self.total, self.each, self.asked = total, each, 0

    async def call(self, method: str, **params: Any) -> Any:
        assert method == "validators"
        self.asked += 1
        assert self.asked < 1_000, "it is asked for ever"
        keys = (
            hashlib.sha256(f"{params['page']}-{number}".encode()).digest()
            for number in range(self.each)
        )
        found = [
            {"pub_key": {"value": base64.b64encode(key).decode()}, "voting_power": "10"}
            for key in keys
        ]
        return {"validators": found, "total": str(self.total)}


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        (Pages(10**9), "total"),
        (Pages(VALIDATORS, each=1), "validators without end"),
        (Pages(10, each=VALIDATORS_PAGE + 1), "validators"),
    ],
)
async def test_validators_without_end_are_refused(pages: Pages, message: str) -> None:
    with pytest.raises(NodeUnavailable, match=message):
        await CometBft(pages).validator_powers()  # type: ignore[arg-type]


async def test_validators_of_several_pages_are_all_returned() -> None:
    pages = Pages(3 * VALIDATORS_PAGE)
    powers = await CometBft(pages).validator_powers()  # type: ignore[arg-type]
    assert len(powers) == 3 * VALIDATORS_PAGE
    assert pages.asked == 3


@pytest.mark.parametrize("height", ["1000000000001", "-1", "1e3", 10**18, None, [1]])
def test_status_refuses_an_impossible_height(height: object) -> None:
    status = {
        "node_info": {"id": "a" * 40, "network": "unit-1"},
        "validator_info": {"address": "A" * 40},
        "sync_info": {
            "earliest_block_height": "1",
            "latest_block_height": height,
            "latest_block_time": "2026-01-01T00:00:00Z",
            "latest_app_hash": "",
            "catching_up": False,
        },
    }
    with pytest.raises(ValidationError, match="latest_block_height"):
        ChainStatus.model_validate(status)
