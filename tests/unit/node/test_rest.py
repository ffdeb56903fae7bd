"""What a stopped node holds is read without changing anything of it."""

import json
import socket
from pathlib import Path

import pytest
from contracting.storage.driver import Driver
from xian.utils.block import stage_latest_block

from workflow_backend_node import rest, signing_state
from workflow_backend_node.requests import Refused


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that stopped at height 7 and has signed for 8."""
    home = tmp_path / "node" / ".cometbft"
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text(f'proxy_app = "unix://{tmp_path}/abci.sock"\n')
    (home / "data").mkdir()
    signing = {"height": "8", "round": 0, "step": 2}
    signing_state.place(home).write_text(json.dumps(signing))
    with Driver(storage_home=home / "xian") as driver:
        stage_latest_block(driver, block_hash=b"\xab" * 32, height=7, nanos=7)
        driver.commit()
    return home


def everything(home: Path) -> dict[str, bytes]:
    # LMDB's lock file tells who reads.
    files = (path for path in home.parent.rglob("*") if path.is_file() and path.name != "lock.mdb")
    return {str(path): path.read_bytes() for path in files}


def test_height_hash_and_what_it_has_signed_for(home: Path) -> None:
    before = everything(home)
    answer = rest.answer({"home": str(home)}, check=False)
    assert answer == {"height": 7, "app_hash": "ab" * 32, "signed": 8}
    assert everything(home) == before


def test_node_that_runs_is_refused(home: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "abci.sock"))
        listening.listen()
        with pytest.raises(Refused, match="stop the node first"):
            rest.answer({"home": str(home)}, check=False)


def test_home_without_a_state_is_refused(home: Path) -> None:
    (home / "xian" / "lmdb" / "data.mdb").unlink()
    with pytest.raises(Refused, match="holds no state"):
        rest.answer({"home": str(home)}, check=False)


def test_garbled_signing_state_is_named(home: Path) -> None:
    signing_state.place(home).write_text("{")
    with pytest.raises(Refused, match=r"priv_validator_state\.json is not JSON"):
        rest.answer({"home": str(home)}, check=False)
