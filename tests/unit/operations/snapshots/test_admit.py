"""The control machine signs what the nodes have confirmed, and makes a path of nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused, SettingError, WorkflowError
from workflow_backend.operations.network.app_hashes import AppHashClaim
from workflow_backend.operations.snapshots import actions, signatures
from workflow_backend.operations.snapshots.signatures import Trust

from . import samples


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The manifest of a snapshot of alpha."""
    return (samples.snapshot(tmp_path / "alpha") / "manifest.json").read_text()


@pytest.fixture(autouse=True)
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[AppHashClaim]:
    """What nodes say: one that has the app hash of the snapshots made here."""
    claims = [AppHashClaim("beta", "one", samples.APP_HASH)]
    ask = "workflow_backend.operations.network.app_hashes.ask_app_hashes"
    monkeypatch.setattr(ask, lambda *_: list(claims))
    return claims


def admit(tmp_path: Path, text: Any, *, check: bool = False, **changes: Any) -> dict[str, Any]:
    key = tmp_path / "key"
    if not key.exists():
        samples.key(key)
    request = {
        "manifest": text,
        "host": "alpha",
        "chain_id": samples.CHAIN,
        "genesis_sha256": samples.GENESIS,
        "nodes": {"beta": {"url": "http://127.0.0.1:1"}},
        "node_ids": {"beta": "one"},
        "agree": 1,
        "seconds": 0,
        "directory": str(tmp_path / "here"),
        "key": key.read_text(),
        **changes,
    }
    return actions.act("admit", request, check=check)


def altered(text: str, **changes: Any) -> str:
    return json.dumps(json.loads(text) | changes)


def test_bytes_that_were_confirmed_are_the_bytes_that_are_signed(tmp_path: Path, text: str) -> None:
    assert list(admit(tmp_path, text, check=True)["files"]) == ["state.tar.gz"]
    assert not (tmp_path / "here").exists()
    answer = admit(tmp_path, text)
    folder = tmp_path / "here" / "alpha"
    assert answer["folder"] == str(folder)
    assert (folder / "manifest.json").read_text() == text
    (key,) = answer["signatures"]
    signed = signatures.read(folder)
    assert signatures.require(text.encode(), signed, Trust(keys=[key]), "alpha")


def test_manifest_of_a_state_that_nodes_contradict_is_not_signed(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecoveryRefused, match="beta has the app hash"):
        admit(tmp_path, altered(text, app_hash="00" * 32))
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../../../../.ssh/authorized_keys",
        "/etc/cron.d/x",
        "..",
        ".hidden",
        "a/b",
        "a\nb",
        "a\u001b[31m",
        "a" * 200,
        "",
        7,
        None,
        ["x"],
    ],
)
def test_name_that_is_no_folders_is_refused(tmp_path: Path, text: str, name: Any) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(RecoveryRefused, match="manifest that alpha gives"):
        admit(tmp_path, altered(text, name=name))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*before, "key"})


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"../../x": {"size": 1, "sha256": "ab" * 32}}},
        {"files": {"state.tar.gz": {"size": -1, "sha256": "ab" * 32}}},
        {"files": {"state.tar.gz": {"size": 1, "sha256": "../x"}}},
        {"files": []},
        {"host": "a\u001b[2J"},
        {"height": 10**30},
        {"height": "12"},
        {"versions": {str(number): "1" for number in range(100)}},
        {"more": 1},
    ],
)
def test_manifest_that_says_more_or_other_than_one_may_is_refused(
    tmp_path: Path, text: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(RecoveryRefused, match="manifest that alpha gives"):
        admit(tmp_path, altered(text, **changes))


@pytest.mark.parametrize(
    "given", ["", "[" * 100_000, "{}", "x" * (2 << 20), None, 7, ["x"], {"manifest": 1}]
)
def test_manifest_that_is_none_is_refused_in_one_line(tmp_path: Path, given: Any) -> None:
    with pytest.raises(WorkflowError) as refused:
        admit(tmp_path, given)
    assert len(refused.value.explain()) < 2000
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_id": "unit-2"}, "of chain"),
        ({"genesis_sha256": "00" * 32}, "another genesis"),
        ({"host": "beta"}, "beta gives a manifest that says that it is of alpha"),
        ({"agree": 2}, "1 nodes confirm the app hash"),
    ],
)
def test_manifest_that_can_not_be_vouched_for_is_not_signed(
    tmp_path: Path, text: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecoveryRefused, match=message):
        admit(tmp_path, text, **changes)
    assert not (tmp_path / "here").exists()


def test_signature_is_added_on_the_host(tmp_path: Path) -> None:
    folder = samples.snapshot(tmp_path / "alpha")
    own = samples.key(tmp_path / "own")
    samples.seal(folder, tmp_path / "own")
    signed = admit(tmp_path, (folder / "manifest.json").read_text())["signatures"]
    request = {"snapshot": str(folder), "signatures": signed}
    assert actions.act("countersign", request, check=False)["changed"] != []
    assert actions.act("countersign", request, check=False)["changed"] == []
    assert signatures.read(folder).keys() == {own, *signed}
    wrongs: list[Any] = [{"../x": "00" * 64}, {"ab" * 32: "no"}, []]
    for wrong in wrongs:
        with pytest.raises(SettingError):
            actions.act("countersign", request | {"signatures": wrong}, check=False)


def test_host_replaces_no_snapshot_that_was_fetched_before(tmp_path: Path, text: str) -> None:
    admit(tmp_path, text)
    kept = tmp_path / "here" / "alpha" / "manifest.json"
    with pytest.raises(RecoveryRefused, match="gives its new snapshot the name of one that lies"):
        admit(tmp_path, altered(text, made_at="later"))
    assert kept.read_text() == text
