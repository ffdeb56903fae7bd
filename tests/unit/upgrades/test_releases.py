"""Which release to go back to, and what may not run side by side."""

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.upgrades import releases
from workflow_backend.operations.upgrades.releases import InstalledReleases

from .installed import VERSIONS, host


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
def test_previous_release_is_the_same_for_all(hosts: list[tuple[str, str]], target: str) -> None:
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
def test_previous_release_has_to_be_named_where_hosts_differ(
    hosts: list[tuple[str, str | None]],
) -> None:
    found = {str(number): host(*pair) for number, pair in enumerate(hosts)}
    with pytest.raises(RecoveryRefused, match="do not name one release") as refused:
        releases.before(found)
    assert "-e upgrade_to=ID" in refused.value.hint


def test_differences_are_of_what_consensus_depends_on() -> None:
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


def test_incompatibilities_leave_out_declared_releases() -> None:
    other = VERSIONS | {"cometbft": "v2"}
    hosts = {"a": host("old", "older"), "b": host("older")}

    def incompatibilities(*declared: str) -> list[str]:
        return releases.incompatibilities(hosts, "new", other, declared)

    assert (
        incompatibilities()
        == incompatibilities("old")
        == incompatibilities("older")
        == ["cometbft v1 -> v2"]
    )
    assert incompatibilities("old", "older") == []


def test_incompatibilities_know_declarations_there_and_back() -> None:
    other = VERSIONS | {"cometbft": "v2"}
    new = InstalledReleases(
        current="new",
        previous="old",
        releases={"old": VERSIONS, "new": other},
        compatible={"new": ("old",), "old": ()},
    )
    assert releases.incompatibilities({"a": new}, "old", VERSIONS) == []
    back = new.model_copy(update={"current": "old", "previous": "old"})
    assert releases.incompatibilities({"a": back}, "new", other) == []
    silent = new.model_copy(update={"compatible": {}})
    assert releases.incompatibilities({"a": silent}, "old", VERSIONS) == ["cometbft v2 -> v1"]


def test_installed_release_is_required_on_every_host() -> None:
    with pytest.raises(RecoveryRefused, match="release x is not on a, b"):
        releases.require_installed({"a": host("new"), "b": host("new")}, "x")


@pytest.mark.parametrize("liar", ["a", "b", "c"])
def test_no_host_says_alone_what_is_in_an_installed_release(liar: str) -> None:
    honest = host("new", "old", **{"xian-tech-abci": "0.9"})
    hosts = dict.fromkeys("abc", honest) | {liar: host("new", "old")}
    with pytest.raises(RecoveryRefused, match="do not say the same of release old") as refused:
        releases.require_installed(hosts, "old")
    for name in "abc":
        said = "1.0" if name == liar else "0.9"
        assert f"{name}: xian-tech-abci {said}" in str(refused.value)


def test_installed_release_may_differ_in_what_no_block_depends_on() -> None:
    hosts = {"a": host("new", "old"), "b": host("new", "old", uvicorn="2")}
    assert releases.require_installed(hosts, "old")["cometbft"] == "v1"
