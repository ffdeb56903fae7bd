"""Wallets are made once, for their owner alone."""

import json
from pathlib import Path

import pytest
from xian_py import Wallet

from workflow_backend.errors import SettingError
from workflow_backend.operations.wallets import make_wallets


def test_wallets_that_are_missing_are_made_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "wallets"
    rehearsed = make_wallets(folder, ["api"], check=True)
    assert rehearsed == {"changed": True, "wallets": {"api": None}}
    assert not folder.exists()
    made = make_wallets(folder, ["api"], check=False)
    key = (folder / "api.key").read_text().strip()
    assert made == {"changed": True, "wallets": {"api": Wallet(private_key=key).public_key}}
    assert json.loads((folder / "wallets.json").read_text()) == made["wallets"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    more = make_wallets(folder, ["api", "processor"], check=False)
    assert more["wallets"]["api"] == made["wallets"]["api"]
    again = make_wallets(folder, ["api", "processor"], check=False)
    assert again == more | {"changed": False}


def test_broken_key_is_named_and_neither_shown_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.key"
    path.write_text("not-a-key\n")
    with pytest.raises(SettingError, match=r"api\.key") as raised:
        make_wallets(tmp_path, ["api"], check=False)
    assert "not-a-key" not in raised.value.explain()
    assert path.read_text() == "not-a-key\n"


def test_encrypted_key_is_known_by_its_public_part(tmp_path: Path) -> None:
    made = make_wallets(tmp_path, ["api-one", "api-two"], check=False)["wallets"]
    path = tmp_path / "api-one.key"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    again = make_wallets(tmp_path, ["api-one", "api-two"], check=False)
    assert again == {"changed": False, "wallets": made}
    assert path.read_text().startswith("$ANSIBLE_VAULT;")
    (tmp_path / "wallets.json").unlink()
    with pytest.raises(SettingError, match=r"api-one\.key is encrypted"):
        make_wallets(tmp_path, ["api-one"], check=False)


def test_wallet_that_is_not_asked_for_stays_known_while_its_key_is_there(tmp_path: Path) -> None:
    made = make_wallets(tmp_path, ["api-one", "api-two"], check=False)["wallets"]
    fewer = make_wallets(tmp_path, ["api-one"], check=False)
    assert fewer == {"changed": False, "wallets": {"api-one": made["api-one"]}}
    (tmp_path / "api-two.key").unlink()
    assert make_wallets(tmp_path, ["api-one"], check=False)["changed"]
    assert json.loads((tmp_path / "wallets.json").read_text()) == {"api-one": made["api-one"]}


@pytest.mark.parametrize("name", ["", ".", "..", "../api", "a/b", "/api", ".api", "a\nb", "a\0b"])
def test_wallet_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="is not a name for a wallet"):
        make_wallets(tmp_path / "wallets", ["api", name], check=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "5"])
def test_index_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "wallets.json").write_text(text)
    with pytest.raises(SettingError, match=r"wallets\.json"):
        make_wallets(tmp_path, ["api"], check=False)
    assert [path.name for path in tmp_path.iterdir()] == ["wallets.json"]
