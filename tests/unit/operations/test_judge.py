"""Health's judgements: what is wrong is failed, in words that name it, and what is not is ok."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.node import ChainStatus, IndexStatus
from workflow_backend.operations import judge
from workflow_backend.operations.disks import FileSystem
from workflow_backend.operations.judge import Check, State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACCOUNT = "ab" * 32


def chain(height: int = 7, *, chain_id: str = "net-1", catching_up: bool = False) -> ChainStatus:
    return ChainStatus(chain_id, "id", height, "2026-01-01T11:00:00.123456789Z", catching_up)


def index(height: int, lag: int, *, healthy: bool = True, problem: str = "") -> IndexStatus:
    return IndexStatus(height, lag, 0, healthy, problem)


def beat(at: float, **more: Any) -> dict[str, Any]:
    return {"service": "projector", "pid": 42, "at": at, "problem": "", **more}


def test_a_node_is_of_the_right_chain_and_level_with_it() -> None:
    assert judge.chain(chain(), "net-1").state == State.OK
    assert "'other-1'" in judge.chain(chain(), "other-1").what
    assert judge.chain(chain(), "other-1").state == State.FAILED
    assert judge.chain(chain(catching_up=True), "net-1").state == State.FAILED


@pytest.mark.parametrize(
    ("after", "waiting", "limit", "state"),
    [
        (7, 0, None, State.OK),  # no work, no blocks: as it should be
        (8, 3, None, State.OK),
        (7, 3, None, State.FAILED),
        (7, 0, 3599.0, State.FAILED),
        (7, 0, 3601.0, State.OK),
    ],
)
def test_blocks_have_to_come_where_there_is_work_or_a_rhythm(
    after: int, waiting: int, limit: float | None, state: State
) -> None:
    assert judge.blocks(chain(7), chain(after), waiting, limit, NOW).state == state


@pytest.mark.parametrize(
    ("before", "after", "state", "word"),
    [
        (index(7, 0), index(7, 0), State.OK, "height 7"),
        (index(7, 5), index(8, 5), State.OK, "5 blocks behind"),
        (index(7, 900), index(8, 900), State.WARNING, "slow but moving"),
        (index(7, 1), index(7, 1), State.FAILED, "wedged"),
        (index(7, 9), index(7, 12, problem="no such escape"), State.FAILED, "no such escape"),
        (index(7, 0), index(7, 0, healthy=False, problem="refused"), State.FAILED, "refused"),
    ],
)
def test_a_wedged_index_is_told_from_a_slow_one(
    before: IndexStatus, after: IndexStatus, state: State, word: str
) -> None:
    check = judge.index(before, after, 5.0)
    assert check.state == state
    assert word in check.what


def test_an_index_that_can_never_be_level_says_what_it_lacks() -> None:
    check = judge.index(index(7, 30), index(7, 30), 5.0, base=12)
    assert check.state == State.FAILED
    assert "lacks the blocks 8 to 11" in check.what
    assert judge.index(index(7, 3), index(8, 2), 5.0, base=9).state == State.OK


def test_an_index_of_more_than_the_node_has_is_another_history() -> None:
    ahead = replace(index(60, 0), ahead=25)
    check = judge.index(ahead, ahead, 5.0)
    assert check.state == State.FAILED
    assert "it has 25 blocks that the node does not have, up to 60" in check.what
    # On a busy chain a block is made between the two numbers.
    assert judge.index(replace(index(59, 0), ahead=1), index(60, 0), 5.0).state == State.OK


def test_blocks_that_an_index_lacks_in_between_are_told() -> None:
    check = judge.index(index(60, 0), replace(index(60, 0), holes=12), 5.0)
    assert (check.state, check.what) == (
        State.FAILED,
        "12 of the blocks up to 60 are not in it",
    )


def test_a_contract_is_the_expected_one_whatever_its_layout() -> None:
    assert judge.contract("con_a", None, None).state == State.FAILED
    assert judge.contract("con_a", "x = 1", None).state == State.OK
    assert judge.contract("con_a", "x = 1", "x  =  1  # one\n").state == State.OK
    assert judge.contract("con_a", "x = 1", "x = 2").state == State.FAILED


@pytest.mark.parametrize(
    ("balance", "state"),
    [(1000.0, State.OK), (250.0, State.OK), (249.0, State.WARNING), (0.0, State.FAILED)],
)
def test_a_wallet_is_low_before_it_is_empty(balance: float, state: State) -> None:
    assert judge.wallet(ACCOUNT, balance, 1000.0).state == state


@pytest.mark.parametrize(
    ("before", "after", "process", "word"),
    [
        (None, None, None, "it has no heartbeat"),
        (beat(90.0), None, None, "it has no heartbeat"),  # it ended in order while we looked
        (beat(90.0), beat(90.0), None, "process 42 is gone"),
        (beat(90.0), beat(90.0), "T", "stopped by a signal, its last heartbeat is 10 s old"),
        (beat(90.0), beat(90.0), "S", "process 42 hangs"),
        (beat(90.0), beat(99.0, problem="no node"), "S", "no node"),
    ],
)
def test_a_service_that_does_not_live_is_failed(
    before: dict[str, Any] | None, after: dict[str, Any] | None, process: str | None, word: str
) -> None:
    check = judge.heartbeat("projector", before, after, process, 100.0)
    assert check.state == State.FAILED
    assert word in check.what
    assert check.hint


@pytest.mark.parametrize("before", [None, beat(99.0), beat(99.0, problem="over now")])
def test_a_service_that_beats_is_ok(before: dict[str, Any] | None) -> None:
    assert judge.heartbeat("projector", before, beat(100.0), "S", 100.0).state == State.OK


def test_a_kind_without_a_handler_is_a_warning_that_names_it() -> None:
    waiting = beat(100.0, unhandled={"mail": 3})
    check = judge.heartbeat("processor", beat(90.0), waiting, "S", 100.0)
    assert check.state == State.WARNING
    assert "mail (3)" in check.what


def test_a_service_whose_wallet_runs_low_says_so() -> None:
    beat = {"service": "processor", "pid": 1, "at": 10.0, "warning": "wallet aa runs low"}
    found = judge.heartbeat("processor", {**beat, "at": 9.0}, beat, "S", 10.0)
    assert (found.state, found.what) == (State.WARNING, "wallet aa runs low")
    answer = {
        "chain_id": "c",
        "contract": "con",
        "status": "ok",
        "warnings": ["wallet bb runs low"],
    }
    found = judge.api(answer, "c", "con")
    assert (found.state, found.what) == (State.WARNING, "wallet bb runs low")


def test_of_what_a_service_says_nothing_hides_another() -> None:
    low, waiting = "wallet aa runs low", {"mail": 3}
    both = beat(100.0, warning=low, unhandled=waiting)
    check = judge.heartbeat("processor", beat(90.0), both, "S", 100.0)
    assert check.state == State.WARNING
    assert low in check.what
    assert "mail (3)" in check.what
    assert "bootstrap" in check.hint
    assert "handlers' file" in check.hint
    check = judge.heartbeat("processor", beat(90.0), both | {"problem": "no node"}, "S", 100.0)
    assert check.state == State.FAILED
    assert all(word in check.what for word in ("no node", low, "mail (3)"))
    answer = {"chain_id": "c", "contract": "con", "status": "degraded"}
    check = judge.api(answer | {"problems": ["no index"], "warnings": [low]}, "c", "con")
    assert (check.state, check.what) == (State.FAILED, f"no index; {low}")


@pytest.mark.parametrize(
    ("position", "beats", "state"),
    [
        (100, (100, 100), State.OK),
        (101, (101, 101), State.OK),  # it read the index after we did
        (85, (85, 85), State.OK),
        (10, (10, 30), State.WARNING),
        (10, (10, 10), State.FAILED),
    ],
)
def test_a_projection_keeps_level_with_the_index(
    position: int, beats: tuple[int, int], state: State
) -> None:
    assert judge.projection(position, 100, *beats).state == state


def test_an_api_of_another_stack_is_not_ours() -> None:
    answer = {"status": "ok", "chain_id": "net-1", "contract": "con_a", "problems": []}
    assert judge.api(answer, "net-1", "con_a").state == State.OK
    assert "con_a on net-1" in judge.api(answer, "net-1", "con_b").what
    degraded = judge.api(
        answer | {"status": "degraded", "problems": ["no index"]}, "net-1", "con_a"
    )
    assert (degraded.state, degraded.what) == (State.FAILED, "no index")


def test_a_disk_is_low_before_it_is_full() -> None:
    disk = FileSystem(Path("/data"), ("node", "index"), 9 << 30, 10**6)
    found = [judge.disk(replace(disk, free=gib << 30)) for gib in (0, 2, 9)]
    assert [check.state for check in found] == [State.FAILED, State.WARNING, State.OK]
    assert found[2].what == "9.0 GiB free on /data (node, index)"


def test_a_disk_without_room_for_files_is_full() -> None:
    disk = FileSystem(Path("/data"), ("node",), 9 << 30, 12)
    assert judge.disk(disk).state == State.FAILED
    assert judge.disk(disk).what.startswith("room for 12 files more")
    assert judge.disk(replace(disk, files=None)).state == State.OK


def test_all_is_well_with_warnings_and_never_with_what_could_not_be_checked() -> None:
    checks = [Check("a", State.OK, "fine"), Check("b", State.WARNING, "low", "fill it")]
    assert judge.all_well(checks)
    assert not judge.all_well([*checks, Check("c", State.UNKNOWN, "see a")])
    assert not judge.all_well([*checks, Check("c", State.FAILED, "broken")])


def test_the_table_has_a_line_for_each_check_and_for_each_hint() -> None:
    checks = [Check("a", State.OK, "fine"), Check("long name", State.FAILED, "broken", "mend it")]
    assert judge.table(checks).splitlines() == [
        "a          OK       fine",
        "long name  FAILED   broken",
        "                    -> mend it",
    ]
