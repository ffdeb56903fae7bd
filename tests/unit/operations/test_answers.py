"""What a node answers is taken as it is written, and only then."""

import base64
import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from workflow_backend.errors import NodeUnavailable
from workflow_backend.operations import answers
from workflow_backend.operations.answers import Results


def test_results_tell_the_app_hash_as_cometbft_writes_it() -> None:
    told = Results.model_validate({"app_hash": base64.b64encode(b"x" * 32).decode()})
    assert told.app_hash == b"x" * 32


@pytest.mark.parametrize("given", ["", base64.b64encode(b"x" * 31).decode(), "x" * 32, 7, None])
def test_an_app_hash_of_another_length_is_none(given: object) -> None:
    with pytest.raises(ValidationError):
        Results.model_validate({"app_hash": given})


class Pages:
    """A node that has another page of validators whenever it is asked, and claims a total."""

    def __init__(self, total: int, *, each: int = answers.PAGE) -> None:
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
    ("pages", "said"),
    [
        (Pages(10**9), "total"),
        (Pages(answers.VALIDATORS, each=1), "validators without end"),
        (Pages(10, each=answers.PAGE + 1), "validators"),
    ],
)
async def test_validators_without_end_are_refused(pages: Pages, said: str) -> None:
    with pytest.raises(NodeUnavailable, match=said):
        await answers.powers(pages)  # type: ignore[arg-type]


async def test_validators_of_several_pages_are_all_told() -> None:
    pages = Pages(3 * answers.PAGE)
    assert len(await answers.powers(pages)) == 3 * answers.PAGE  # type: ignore[arg-type]
    assert pages.asked == 3


@pytest.mark.parametrize("height", ["1000000000001", "-1", "1e3", 10**18, None, [1]])
def test_a_height_that_no_chain_has_is_none(height: object) -> None:
    sync = {
        "earliest_block_height": "1",
        "latest_block_height": height,
        "latest_app_hash": "",
        "catching_up": False,
    }
    with pytest.raises(ValidationError):
        answers.SyncInfo.model_validate(sync)
