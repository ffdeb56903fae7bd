"""Smoke: what it says of a step that failed."""

from typing import Any

import pytest

from workflow_backend.client import ApiError, ApiUnavailable
from workflow_backend.errors import WorkflowError
from workflow_backend.operations.smoke import smoke
from workflow_backend_client import Client


class RefusingApi(Client):
    """An API that answers each submission with one error."""

    def __init__(self, error: WorkflowError) -> None:
        self._error = error

    def submit(self, *_: Any, **__: Any) -> Any:
        raise self._error


CONFLICT = ApiError("POST /items: 409 this id has another item")


def test_smoke_with_the_id_of_another_item_says_what_to_do() -> None:
    result = smoke(RefusingApi(CONFLICT), "theirs", 1.0)
    assert (result["ok"], result["failed"]) == (False, "submitted")
    assert "leave out --item" in result["hint"]


@pytest.mark.parametrize(
    ("item_id", "error"), [(None, CONFLICT), ("ours", ApiUnavailable("no answer"))]
)
def test_smoke_blames_no_id_where_it_is_not_the_cause(
    item_id: str | None, error: WorkflowError
) -> None:
    assert "--item" not in smoke(RefusingApi(error), item_id, 1.0)["hint"]
