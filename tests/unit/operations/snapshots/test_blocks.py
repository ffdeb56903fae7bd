"""What a node's own blocks say of a snapshot."""

from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots.blocks import (
    Inspection,
    OwnStore,
    Store,
    require_on_chain,
    rpc_url,
)

from . import samples


def inspect(app_hash: str | None = samples.APP_HASH, **changes: Any) -> Inspection:
    store = {"chain_id": samples.CHAIN, "base": 1, "height": 40, "running": True}
    return Inspection(Store(**{**store, **changes}), app_hash, None, {})


def require(found: Inspection) -> None:
    require_on_chain(samples.CHAIN, samples.HEIGHT, samples.APP_HASH, found)


@pytest.mark.parametrize(
    "found",
    [inspect(), inspect(height=samples.HEIGHT), inspect(base=samples.HEIGHT + 1), inspect(base=12)],
)
def test_blocks_that_lead_on_from_it(found: Inspection) -> None:
    require(found)


@pytest.mark.parametrize(
    ("found", "message", "way"),
    [
        (inspect(chain_id="unit-2"), "of chain 'unit-1', the node of 'unit-2'", "of this chain"),
        (inspect(height=samples.HEIGHT - 1), "which end at 11", "an older snapshot"),
        (inspect(base=samples.HEIGHT + 2), "the node's blocks begin at 14", "a newer snapshot"),
        (inspect("00" * 32), "the chain has the app hash 0000", "forged"),
        (inspect(None), "the chain has the app hash None", "forged"),
    ],
)
def test_blocks_that_do_not(found: Inspection, message: str, way: str) -> None:
    with pytest.raises(RecoveryRefused) as raised:
        require(found)
    assert message in str(raised.value)
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
def test_nodes_rpc_is_where_its_home_says(tmp_path: Path, address: str, url: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(f'[rpc]\nladdr = "{address}"\n')
    assert rpc_url(tmp_path) == url


@pytest.mark.parametrize("text", [None, "", "[rpc", 'rpc = "x"', '[rpc]\nladdr = "tcp://a:b"'])
def test_folder_that_is_no_home(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.toml").write_text(text)
    with pytest.raises(RecoveryRefused, match="is not a node's home"):
        OwnStore(tmp_path, Path("cometbft")).inspect(1)
