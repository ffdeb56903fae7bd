"""Settings: a wrong one is named, a key is never shown."""

from pathlib import Path

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.settings import Settings, api_url

GOOD = {"XIAN_CHAIN_ID": "xian-test-1"}


def test_settings_need_only_a_chain_id() -> None:
    settings = Settings.load(GOOD)
    assert settings.node_url == "http://127.0.0.1:26657"
    assert settings.contract == "con_job_workflow"
    assert settings.projection_path == Path(".workflow-backend-projection.sqlite3")
    assert settings.ssh == ()
    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XIAN_CHAIN_ID", " "),
        ("XIAN_NODE_URL", "127.0.0.1:26657"),
        ("XIAN_NODE_URL", "http://"),
        ("XIAN_NODE_URL", "http://host:port"),
        ("XIAN_WORKFLOW_SSH", "ssh"),
        ("XIAN_WORKFLOW_SSH", "ssh 'root@node"),
        ("XIAN_WORKFLOW_CONTRACT", "job_workflow"),
        ("XIAN_WORKFLOW_EARLIER_CONTRACTS", "con_old,jobs"),
        ("XIAN_WORKFLOW_EARLIER_CONTRACTS", "con_old,con_job_workflow"),
        ("XIAN_WORKFLOW_EARLIER_CONTRACTS", "con_a,con_b,con_c,con_d,con_e"),
        ("XIAN_WORKFLOW_API_PORT", "0"),
        ("XIAN_WORKFLOW_API_RATE", "0"),
        ("XIAN_WORKFLOW_API_WALLETS", "ab"),
        ("XIAN_WORKFLOW_API_FORMER_WALLETS", "ab"),
        ("XIAN_WORKFLOW_API_ORIGINS", "shop.example.org"),
        ("XIAN_WORKFLOW_API_ORIGINS", "https://shop.example.org/page"),
        ("XIAN_WORKFLOW_API_PORT", "eighty"),
        ("XIAN_WORKFLOW_LEASE_SECONDS", "4"),
        ("XIAN_WORKFLOW_LEASE_SECONDS", "a minute"),
        ("XIAN_WORKFLOW_DRAIN_SECONDS", "-1"),
        ("XIAN_WORKFLOW_HANDLERS_SOCKET", "s" * 101),
    ],
)
def test_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.load(GOOD | {name: value})


def test_key_file_precedes_environment(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("AB" * 32 + "\n")
    environment = GOOD | {
        "XIAN_WORKFLOW_WALLET_KEY_FILE": str(path),
        "XIAN_WALLET_PRIVATE_KEY": "cd" * 32,
    }
    assert Settings.load(environment).wallet_key() == "ab" * 32


@pytest.mark.parametrize("key", ["", "12", "zz" * 32, "ab" * 33])
def test_wrong_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingError, match="XIAN_WALLET_PRIVATE_KEY") as raised:
        Settings.load(GOOD | {"XIAN_WALLET_PRIVATE_KEY": key}).wallet_key()
    assert not key or key not in raised.value.explain()


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    environment = GOOD | {"XIAN_WORKFLOW_WALLET_KEY_FILE": str(tmp_path / "none")}
    with pytest.raises(SettingError, match="none"):
        Settings.load(environment).wallet_key()


@pytest.mark.parametrize("url", ["http://ann:secret@api.example.org", "ftp://ann:secret@x", "a@b"])
def test_api_url_with_credentials_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingError, match="XIAN_WORKFLOW_API_URL names a user") as refused:
        api_url({"XIAN_WORKFLOW_API_URL": url})
    assert "secret" not in refused.value.explain()
