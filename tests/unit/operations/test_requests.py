"""How the operations are asked."""

import io

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.operations import requests
from workflow_backend.operations.snapshots.actions import act


@pytest.mark.parametrize(
    ("text", "message"), [("", "not JSON"), ("{", "not JSON"), ("[]", "object")]
)
def test_request_is_a_json_object(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        requests.read(io.StringIO(text))
    assert requests.read(io.StringIO('{"a": 1}')) == {"a": 1}


def test_request_names_each_wrong_field_and_shows_no_value() -> None:
    with pytest.raises(SettingError) as raised:
        act("list", {"directory": 5, "key": "secret-thing"}, check=False)
    message = raised.value.explain()
    assert "directory: " in message
    assert "key: " in message
    assert "secret-thing" not in message
    assert "\n" not in message
    with pytest.raises(SettingError, match=r"drill: snapshot: Field required; .*scratch: Field"):
        act("drill", {}, check=False)
