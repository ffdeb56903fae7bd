"""The launcher starts what it was written for, and says what else it wants."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_backend_node import app
from workflow_backend_node.asking import Refused


def refused(*arguments: str, **environment: str) -> str:
    """Why the launcher does not start; it says nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "workflow_backend_node.app", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    entry = json.loads(done.stderr)
    assert (entry["level"], entry["logger"]) == ("error", "abci")
    return str(entry["message"])


def test_another_version_of_the_app_is_refused() -> None:
    with pytest.raises(Refused, match=r"0\.9\.4 is installed.*0\.9\.3: install 0\.9\.3, or"):
        app._check_version("0.9.4")


def test_a_missing_home_is_one_line(tmp_path: Path) -> None:
    assert str(tmp_path / ".cometbft" / "config" / "config.toml") in refused(
        str(tmp_path / ".cometbft")
    )


@pytest.fixture
def indexed(tmp_path: Path) -> str:
    """A home that is there just enough to ask for the index."""
    config = tmp_path / ".cometbft" / "config"
    config.mkdir(parents=True)
    for name in ("config.toml", "genesis.json"):
        (config / name).touch()
    (config / "xian.toml").write_text("bds_enabled = true\n")
    return str(tmp_path / ".cometbft")


def test_an_index_without_a_database_is_one_line(indexed: str) -> None:
    assert refused(indexed) == (
        "the app does not start: "
        "neither XIAN_BDS_DSN nor the credential index_dsn names the index's database"
    )


def test_a_password_in_a_bad_dsn_is_not_shown(indexed: str) -> None:
    reason = refused(indexed, XIAN_BDS_DSN="mysql://me:hunter2@host:port/x")
    assert "index_dsn is no PostgreSQL DSN" in reason
    assert "hunter2" not in reason
