"""What a node's own blocks say of a snapshot."""

from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots.blocks import (
    Look,
    OwnStore,
    Store,
    require_on_chain,
    rpc_url,
)

from . import made


def look(app_hash: str | None = made.APP_HASH, **changes: Any) -> Look:
    store = {"chain_id": made.CHAIN, "base": 1, "height": 40, "running": True}
    return Look(Store(**{**store, **changes}), app_hash, None, {})


def require(found: Look) -> None:
    require_on_chain(made.CHAIN, made.HEIGHT, made.APP_HASH, found)


@pytest.mark.parametrize(
    "found", [look(), look(height=made.HEIGHT), look(base=made.HEIGHT + 1), look(base=12)]
)
def test_blocks_that_lead_on_from_it(found: Look) -> None:
    require(found)


@pytest.mark.parametrize(
    ("found", "said", "way"),
    [
        (look(chain_id="unit-2"), "of chain 'unit-1', the node of 'unit-2'", "of this chain"),
        (look(height=made.HEIGHT - 1), "which end at 11", "an older snapshot"),
        (look(base=made.HEIGHT + 2), "the node's blocks begin at 14", "a newer snapshot"),
        (look("00" * 32), "the chain has the app hash 0000", "forged"),
        (look(None), "the chain has the app hash None", "forged"),
    ],
)
def test_blocks_that_do_not(found: Look, said: str, way: str) -> None:
    with pytest.raises(RecoveryRefused) as raised:
        require(found)
    assert said in str(raised.value)
    assert way in raised.value.hint


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("tcp://127.0.0.1:26657", "http://127.0.0.1:26657"),
        ("tcp://0.0.0.0:26657", "http://127.0.0.1:26657"),
        ("tcp://[::]:26657", "http://127.0.0.1:26657"),
        ("tcp://[fd00::1]:1", "http://[fd00::1]:1"),
        ("tcp://localhost:1", "http://localhost:1"),
    ],
)
def test_a_nodes_rpc_is_where_its_home_says(tmp_path: Path, address: str, url: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(f'[rpc]\nladdr = "{address}"\n')
    assert rpc_url(tmp_path) == url


@pytest.mark.parametrize("text", [None, "", "[rpc", 'rpc = "x"', '[rpc]\nladdr = "tcp://a:b"'])
def test_a_folder_that_is_no_home(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.toml").write_text(text)
    with pytest.raises(RecoveryRefused, match="is no node's home"):
        OwnStore(tmp_path, Path("cometbft")).look(1)
