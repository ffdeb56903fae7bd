"""A node's address is checked before it is used."""

import hashlib

import pytest
from pydantic import ValidationError

from workflow_backend.operations.network.endpoints import NodeAddress


def test_validator_address_is_that_of_the_key() -> None:
    key = "ab" * 32
    address = hashlib.sha256(bytes.fromhex(key)).hexdigest()[:40].upper()
    assert NodeAddress(url="http://127.0.0.1:1", public_key=key).validator == address
    assert NodeAddress.model_validate({"url": "http://127.0.0.1:1"}).validator == ""


@pytest.mark.parametrize("user", ["user:secret@", "user@", "@"])
def test_url_with_credentials_is_refused_without_repeating_them(user: str) -> None:
    with pytest.raises(ValidationError, match="holds no user and no password") as refused:
        NodeAddress.model_validate({"url": f"http://{user}node:26657"})
    assert refused.value.errors()[0]["loc"] == ("url",)
