"""A home that no peer can bring up to date is refused where its host knows later blocks."""

from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery.actions import ACTIONS


def ask(
    *, signed: int = 0, index: int | None = None, unreadable: tuple[str, ...] = ()
) -> dict[str, Any]:
    newest = {"height": index, "block_hash": "ab" * 32, "schema_version": 1}
    request: dict[str, Any] = {"host": "a", "folder": "/node", "home_height": 35}
    request["signed_height"] = signed
    request["unreadable"] = list(unreadable)
    return run_action(
        ACTIONS,
        "rollback-guard",
        request | {"index": newest if index is not None else None},
        check=False,
    )


def test_guard_allows_a_home_where_nothing_later_is_known() -> None:
    assert ask()["home_height"] == 35
    assert ask(signed=35, index=35)["home_height"] == 35


def test_guard_refuses_a_home_older_than_what_was_signed() -> None:
    with pytest.raises(RecoveryRefused, match="a home of a has signed up to 60") as refused:
        ask(signed=60, index=60)
    assert "start.yml" in refused.value.explain()
    assert "out of /node" in refused.value.explain()


def test_guard_refuses_a_home_older_than_the_index() -> None:
    with pytest.raises(RecoveryRefused, match="the index of a at 36: no peer has the") as refused:
        ask(index=36)
    assert "docs/runbooks.md" in refused.value.explain()


def test_guard_names_an_unreadable_signing_state() -> None:
    with pytest.raises(RecoveryRefused, match=r"nobody can tell .*: state\.json is empty"):
        ask(unreadable=("state.json is empty",))
