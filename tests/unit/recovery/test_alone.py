"""An older home that no peer can bring on is not put where later blocks are known."""

from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.recovery.actions import act


def ask(
    *, signed: int = 0, index: int | None = None, unreadable: tuple[str, ...] = ()
) -> dict[str, Any]:
    newest = {"height": index, "block_hash": "ab" * 32, "schema_version": 1}
    request: dict[str, Any] = {"host": "a", "folder": "/node", "ends": 35, "signed": signed}
    request["unreadable"] = list(unreadable)
    return act("alone", request | {"index": newest if index is not None else None}, check=False)


def test_nothing_later_is_known() -> None:
    assert ask()["ends"] == 35
    assert ask(signed=35, index=35)["ends"] == 35


def test_what_a_validator_has_signed_it_does_not_sign_again() -> None:
    with pytest.raises(RecoveryRefused, match="a home of a has signed up to 60") as refused:
        ask(signed=60, index=60)
    assert "start.yml" in refused.value.explain()
    assert "out of /node" in refused.value.explain()


def test_an_index_would_keep_blocks_of_a_history_that_is_lost() -> None:
    with pytest.raises(RecoveryRefused, match="the index of a at 36: no peer has the") as refused:
        ask(index=36)
    assert "docs/runbooks.md" in refused.value.explain()


def test_a_signing_state_that_can_not_be_read_is_named() -> None:
    with pytest.raises(RecoveryRefused, match=r"nobody can tell .*: state\.json is empty"):
        ask(unreadable=("state.json is empty",))
