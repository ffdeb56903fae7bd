"""Who may vouch for which snapshot."""

import hashlib
from pathlib import Path

import pytest
from pydantic import SecretStr
from xian_py import Wallet

from workflow_backend.errors import RecoveryRefused, SettingError
from workflow_backend.operations.snapshots import signatures
from workflow_backend.operations.snapshots.signatures import Trust

from .samples import key

GIVEN = b'{"name": "one"}'


@pytest.fixture
def control(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """A control machine's public key and its signature."""
    public = key(tmp_path / "control.key")
    return public, signatures.sign(GIVEN, tmp_path / "control.key")


def test_control_machines_key_vouches_for_any_host(control: tuple[str, dict[str, str]]) -> None:
    public, signed = control
    assert public in signatures.require(GIVEN, signed, Trust(keys=[public]), "alpha")
    assert public in signatures.require(GIVEN, signed, Trust(keys=[public]), "beta")


def test_hosts_key_vouches_for_its_own_alone(control: tuple[str, dict[str, str]]) -> None:
    public, signed = control
    trust = Trust(hosts={"alpha": public})
    assert public in signatures.require(GIVEN, signed, trust, "alpha")
    with pytest.raises(RecoveryRefused, match="no trusted key has signed this snapshot of beta"):
        signatures.require(GIVEN, signed, trust, "beta")


def test_strangers_signature_counts_for_nothing(control: tuple[str, dict[str, str]]) -> None:
    public, signed = control
    with pytest.raises(RecoveryRefused, match=f"no trusted key .* only {public}"):
        signatures.require(GIVEN, signed, Trust(keys=["ab" * 32]), "alpha")
    with pytest.raises(RecoveryRefused, match="nobody has signed"):
        signatures.require(GIVEN, {}, Trust(keys=[public]), "alpha")


def test_changed_manifest_or_signature_is_found(control: tuple[str, dict[str, str]]) -> None:
    public, signed = control
    with pytest.raises(RecoveryRefused, match="is not that of this manifest"):
        signatures.require(GIVEN + b" ", signed, Trust(keys=[public]), "alpha")
    for text in ("", "zz", "ab" * 64, signed[public][:-2]):
        with pytest.raises(RecoveryRefused, match="is not that of this manifest"):
            signatures.require(GIVEN, {public: text}, Trust(keys=[public]), "alpha")


def test_pinned_sum_needs_no_signature(control: tuple[str, dict[str, str]]) -> None:
    pinned = Trust(manifest_sha256=hashlib.sha256(GIVEN).hexdigest())
    assert signatures.require(GIVEN, {}, pinned, "alpha") == "its sum"
    with pytest.raises(RecoveryRefused, match="the manifest has the sum"):
        signatures.require(GIVEN + b" ", control[1], pinned, "alpha")


def test_wallets_signature_of_a_transaction_is_none_of_a_snapshot() -> None:
    wallet = Wallet()
    signed = {wallet.public_key: wallet.sign_msg(hashlib.sha256(GIVEN).hexdigest())}
    with pytest.raises(RecoveryRefused, match="is not that of this manifest"):
        signatures.require(GIVEN, signed, Trust(keys=[wallet.public_key]), "alpha")


def test_key_may_be_given_without_a_file() -> None:
    wallet = Wallet()
    signed = signatures.sign(GIVEN, SecretStr(wallet.private_key))
    assert list(signed) == [wallet.public_key]
    with pytest.raises(SettingError, match="that was given can't be used") as raised:
        signatures.sign(GIVEN, SecretStr("not-a-key"))
    assert "not-a-key" not in raised.value.explain()


def test_broken_key_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "control.key"
    path.write_text("not-a-key")
    with pytest.raises(SettingError, match=r"control\.key") as raised:
        signatures.sign(GIVEN, path)
    assert "not-a-key" not in raised.value.explain()
    with pytest.raises(SettingError, match="FileNotFoundError"):
        signatures.sign(GIVEN, tmp_path / "none")


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', "{"])
def test_signatures_that_are_none(tmp_path: Path, text: str) -> None:
    assert signatures.read(tmp_path) == {}
    (tmp_path / "signatures.json").write_text(text)
    with pytest.raises(RecoveryRefused, match=r"signatures\.json"):
        signatures.read(tmp_path)
