"""A home that is made anew for a state of its peers: the old one is kept, and what it signed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from workflow_backend_node import fetch, first_start, home, homes
from workflow_backend_node.requests import Refused

type Request = dict[str, Any]

SYNC = {
    "rpc_servers": ["http://127.0.0.1:1", "http://127.0.0.1:2"],
    "trust_height": 9,
    "trust_hash": "AB",
}


def do(home_request: Request, action: str, *, check: bool = False, **more: Any) -> Request:
    return fetch.answer({"action": action, "home": home_request["home"], **more}, check)


def state(height: int) -> Request:
    return {"height": str(height), "round": 0, "step": 3}


def old_home(home_request: Request, height: int) -> Path:
    place = Path(home_request["home"])
    (place / "data" / "blockstore.db").mkdir(parents=True)
    (place / "data" / "priv_validator_state.json").write_text(json.dumps(state(height)))
    return place


def test_old_home_is_kept_and_what_it_signed_holds_for_the_new(home_request: Request) -> None:
    place = old_home(home_request, 900)
    assert do(home_request, "clear", check=True)["changed"] == [str(place)]
    answer = do(home_request, "clear")
    assert homes.status(place)["highest"] == 900
    assert (Path(answer["aside"]) / "data" / "blockstore.db").exists()
    assert answer["moved_aside"] == [answer["aside"]]
    assert do(home_request, "clear")["aside"] is None  # asked again after it was cut short
    home.bring({**home_request, "seen": state(500)}, check=False)
    do(home_request, "first_start", check_blocks=3, state_sync=SYNC)
    assert homes.status(place)["signed"] == state(900)
    assert homes.status(place)["fetching"] is True
    first = first_start.read(place)
    assert first is not None
    assert (first.signed, first.servers) == (900, SYNC["rpc_servers"])
    assert do(home_request, "synced") == {"changed": True}
    assert do(home_request, "synced") == {"changed": False}
    assert homes.status(place)["fetching"] is True  # a run that is cut short here begins anew
    for number in range(3):
        place.with_name(f"{homes.ASIDE}-0{number}").mkdir()
    assert do(home_request, "proven", check=True, keep=2)["changed"] == [
        str(place / homes.FETCHING)
    ]
    proven = do(home_request, "proven", keep=2)
    assert proven["moved_aside"] == [f"{place.with_name(homes.ASIDE)}-02", answer["aside"]]
    assert homes.status(place)["fetching"] is False


def test_lost_home_begins_behind_what_peers_have_seen(home_request: Request) -> None:
    do(home_request, "clear")
    home.bring({**home_request, "seen": state(500)}, check=False)
    do(home_request, "first_start", check_blocks=3, state_sync=SYNC)
    assert homes.status(Path(home_request["home"]))["signed"] == state(500)


@pytest.mark.parametrize("garbled", ["", "{}", "[]", '{"height": 7}'])
def test_old_signing_state_that_cannot_be_read_gives_way_to_the_peers(
    home_request: Request, garbled: str
) -> None:
    place = old_home(home_request, 900)
    (place / "data" / "priv_validator_state.json").write_text(garbled)
    seen = homes.status(place)
    assert (seen["signed"], seen["highest"]) == (None, 0)
    assert "priv_validator_state.json" in seen["unreadable"][0]
    do(home_request, "clear")
    home.bring({**home_request, "seen": state(500)}, check=False)
    with pytest.raises(Refused, match="it may sign twice"):
        do(home_request, "first_start", check_blocks=0, state_sync=SYNC)
    do(home_request, "first_start", check_blocks=3, state_sync=SYNC)
    assert homes.status(place)["signed"] == state(500)


def test_home_that_was_pushed_in_part_is_given_up(home_request: Request) -> None:
    pushed = Path(home_request["home"]).with_name(homes.PUSHED)
    pushed.mkdir(parents=True)
    (pushed / homes.MARK).write_text("{}")
    do(home_request, "clear")
    assert not pushed.exists()


def test_first_start_of_a_missing_home_is_refused(home_request: Request) -> None:
    with pytest.raises(Refused, match="has no priv_validator_state"):
        do(home_request, "first_start", check_blocks=3, state_sync=SYNC)
    with pytest.raises(Refused, match="must be offers, clear"):
        do(home_request, "x")


def test_offers_are_reported(home_request: Request) -> None:
    folder = Path(home_request["home"]) / "xian" / "snapshots"
    folder.mkdir(parents=True)
    assert do(home_request, "offers") == {"offers": []}
    manifest = {"height": 7, "app_hash_hex": "ab" * 32, "chain_id": "unit-1"}
    (folder / "a.tar.gz.manifest.json").write_text(json.dumps(manifest))
    (folder / "b.tar.gz.manifest.json").write_text("{")
    os.mkfifo(folder / "c.tar.gz.manifest.json")
    (folder / "d.tar.gz.manifest.json").symlink_to("a.tar.gz.manifest.json")
    assert do(home_request, "offers") == {"offers": [{"height": 7, "app_hash": "ab" * 32}]}
