"""The files of a home are what their names say, or the first deployment and restore refuse it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from xian.node_setup import build_priv_validator_state

from workflow_backend_node import home, signing_state, snapshot
from workflow_backend_node.requests import Refused

type Request = dict[str, Any]

SIGNED = "data/priv_validator_state.json"


@pytest.fixture
def made(home_request: Request) -> Path:
    home.bring(home_request, check=False)
    return Path(home_request["home"])


def ask(made: Path) -> Any:
    return snapshot.answer({"action": "whole", "home": str(made)}, check=False)


def test_new_home_is_whole(made: Path) -> None:
    assert ask(made) == {"whole": True}


@pytest.mark.parametrize(
    "name",
    [
        SIGNED,
        "config/genesis.json",
        "config/node_key.json",
        "config/priv_validator_key.json",
        "config/addrbook.json",
    ],
)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\0" * 100, b"[" * 100_000])
def test_file_that_is_not_what_it_is_called_is_named(
    made: Path, home_request: Request, name: str, content: bytes
) -> None:
    (made / name).write_bytes(content)
    with pytest.raises(Refused, match=Path(name).name):
        ask(made)
    with pytest.raises(Refused, match=Path(name).name):
        home.bring(home_request, check=False)


@pytest.mark.parametrize("name", ["config/config.toml", "config/xian.toml"])
def test_configuration_cut_short_is_named(made: Path, name: str) -> None:
    (made / name).write_text("moniker = [")
    with pytest.raises(Refused, match=Path(name).name):
        ask(made)


def test_integrity_names_everything_that_is_wrong(made: Path) -> None:
    (made / SIGNED).write_text("")
    (made / "config" / "node_key.json").unlink()
    (made / "config" / "xian.toml").write_text("=")
    with pytest.raises(Refused, match=r"xian\.toml.*lacks node_key\.json.*state\.json is empty"):
        ask(made)


def test_pipe_or_a_link_in_its_place_is_not_waited_for(made: Path, tmp_path: Path) -> None:
    (made / SIGNED).rename(tmp_path / "elsewhere")
    os.mkfifo(made / SIGNED)
    with pytest.raises(Refused, match="is not a regular file"):
        ask(made)
    (made / SIGNED).unlink()
    (made / SIGNED).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is a link"):
        ask(made)


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 7},
        {"height": None},
        {"height": "-1"},
        {"height": "9" * 30},
        {"round": "0"},
        {"round": True},
        {"step": 4},
        {"signature": "%"},
        {"signature": 7},
        {"signbytes": "xyz"},
    ],
)
def test_signing_state_that_cometbft_can_not_read_is_refused(changes: Request) -> None:
    good = {"height": "7", "round": 1, "step": 3, "signature": "c2ln", "signbytes": "00"}
    assert signing_state.require(good, "it") == good
    with pytest.raises(Refused, match=r"it (has no|holds a signature)"):
        signing_state.require({**good, **changes}, "it")


def test_state_of_a_new_validator_is_upstreams() -> None:
    new = signing_state.highest([])
    assert new == build_priv_validator_state()
    assert signing_state.parse(json.dumps(new).encode(), "it") == new
