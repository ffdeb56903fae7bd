"""Which release to go back to, and what may not run side by side."""

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.upgrades import releases
from workflow_backend.operations.upgrades.releases import Installed

from .made import VERSIONS, host


@pytest.mark.parametrize(
    ("hosts", "target"),
    [
        ([("new", "old"), ("new", "old")], "old"),
        ([("new", "old"), ("old", "older")], "old"),  # the upgrade was interrupted
        ([("new", "old"), ("old", "old"), ("old", "older")], "old"),  # one went back by itself
        ([("old", "old"), ("new", "old")], "old"),  # the rollback was interrupted
        ([("old", "old"), ("old", "old")], "old"),  # it is done
    ],
)
def test_the_release_before(hosts: list[tuple[str, str]], target: str) -> None:
    found = {str(number): host(*pair) for number, pair in enumerate(hosts)}
    assert releases.before(found) == target


@pytest.mark.parametrize(
    "hosts",
    [
        [("new", None)],
        [("new", "old"), ("other", "older")],
        [("old", "old"), ("older", "older")],
        [("new", "old"), ("new", "old"), ("new", "new")],  # one says that there is nothing to do
        [("new", "old"), ("new", "old"), ("evil", "evil")],
        [("new", "old"), ("old", "older"), ("older", "oldest")],
    ],
)
def test_where_it_is_not_clear_it_has_to_be_named(hosts: list[tuple[str, str | None]]) -> None:
    found = {str(number): host(*pair) for number, pair in enumerate(hosts)}
    with pytest.raises(RecoveryRefused, match="do not name one release") as refused:
        releases.before(found)
    assert "-e upgrade_to=ID" in refused.value.hint


def test_what_consensus_hangs_on() -> None:
    assert releases.differences(VERSIONS, VERSIONS | {"uvicorn": "2", "python": "3.14.9"}) == []
    assert releases.differences(VERSIONS, VERSIONS | {"cometbft": "v2"}) == ["cometbft v1 -> v2"]
    assert releases.differences(VERSIONS, VERSIONS | {"python": "3.15.0"}) == [
        "python 3.14.8 -> 3.15.0"
    ]
    assert releases.differences(VERSIONS, {}) == [
        "cometbft v1 -> none",
        "xian-tech-abci 1.0 -> none",
        "python 3.14.8 -> none",
    ]


def test_what_is_declared_to_agree_is_left_out() -> None:
    other = VERSIONS | {"cometbft": "v2"}
    hosts = {"a": host("old", "older"), "b": host("older")}

    def unlike(*declared: str) -> list[str]:
        return releases.unlike(hosts, "new", other, declared)

    assert unlike() == unlike("old") == unlike("older") == ["cometbft v1 -> v2"]
    assert unlike("old", "older") == []


def test_a_host_knows_what_its_releases_agree_with_there_and_back() -> None:
    other = VERSIONS | {"cometbft": "v2"}
    new = Installed(
        current="new",
        previous="old",
        releases={"old": VERSIONS, "new": other},
        compatible={"new": ("old",), "old": ()},
    )
    assert releases.unlike({"a": new}, "old", VERSIONS) == []
    back = new.model_copy(update={"current": "old", "previous": "old"})
    assert releases.unlike({"a": back}, "new", other) == []
    silent = new.model_copy(update={"compatible": {}})
    assert releases.unlike({"a": silent}, "old", VERSIONS) == ["cometbft v2 -> v1"]


def test_a_release_that_a_host_lacks() -> None:
    with pytest.raises(RecoveryRefused, match="release x is not on a, b"):
        releases.require_installed({"a": host("new"), "b": host("new")}, "x")
