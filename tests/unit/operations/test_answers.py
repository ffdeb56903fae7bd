"""What a node answers is taken as it is written, and only then."""

import base64

import pytest
from pydantic import ValidationError

from workflow_backend.operations.answers import Results


def test_results_tell_the_app_hash_as_cometbft_writes_it() -> None:
    told = Results.model_validate({"app_hash": base64.b64encode(b"x" * 32).decode()})
    assert told.app_hash == b"x" * 32


@pytest.mark.parametrize("given", ["", base64.b64encode(b"x" * 31).decode(), "x" * 32, 7, None])
def test_an_app_hash_of_another_length_is_none(given: object) -> None:
    with pytest.raises(ValidationError):
        Results.model_validate({"app_hash": given})
