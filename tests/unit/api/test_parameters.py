"""Query parameters that a route does not have."""

import pytest

from .conftest import Open


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/items?stauts=failed", "unknown parameter: did you mean status?"),
        ("/health/live?x=1", "unknown parameter; this route takes none"),
        ("/items/a?wiat=completed", "unknown parameter: did you mean wait?"),
        ("/items?status=failed&status=completed", "given more than once: give one value"),
    ],
)
async def test_unknown_parameter_is_refused(api: Open, path: str, message: str) -> None:
    answer = await api().get(path)
    assert answer.status_code == 422
    assert [each["message"] for each in answer.json()["errors"]] == [message]
