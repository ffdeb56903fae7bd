"""How the operations are asked."""

import io

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.operations import asking
from workflow_backend.operations.snapshots.actions import act


@pytest.mark.parametrize(("text", "said"), [("", "not JSON"), ("{", "not JSON"), ("[]", "object")])
def test_a_request_is_a_json_object(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        asking.read(io.StringIO(text))
    assert asking.read(io.StringIO('{"a": 1}')) == {"a": 1}


def test_every_wrong_field_is_named_and_none_is_shown() -> None:
    with pytest.raises(SettingError) as raised:
        act("list", {"directory": 5, "key": "secret-thing"}, check=False)
    said = raised.value.explain()
    assert "directory: " in said
    assert "key: " in said
    assert "secret-thing" not in said
    assert "\n" not in said
    with pytest.raises(SettingError, match=r"drill: snapshot: Field required; .*scratch: Field"):
        act("drill", {}, check=False)
