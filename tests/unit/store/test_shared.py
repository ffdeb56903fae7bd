"""One projection file, several accounts: whoever may in the folder may read and write it."""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from node_harness import Toolchain

from workflow_backend.store import files

GROUP, PROJECTOR, API = 61_050, 61_001, 61_002

# Does what it is told, a line each, and stays in between: with the file open.
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from workflow_backend.chain.events import Cursor
from workflow_backend.items import Event, Item, Place
from workflow_backend.store.base import Change, ItemFilter
from workflow_backend.store.sqlite import SqliteStore

def change(since, number):
    place, name = Place(number, 0, 0), f"i-{number}"
    told = Event(place, "ItemSubmitted", {"item_id": name}, "AB", "2026-01-01 00:00:00", number)
    at = "2026-01-01 00:00:00"
    item = Item(name, "r", "job", "p", "", "", "submitted", "", "", "", at, at, 0, 0, None)
    return Change(since, [told], [item], Cursor(place), number, {})

async def main():
    store = SqliteStore(Path(sys.argv[1]), "chain-1", "con_job_workflow")
    async def write(number):
        await store.prepare()
        await store.apply(change((await store.cursor()).place, number))
    async def rebuild(number):
        async with store.rebuilding() as fresh:
            await fresh.apply(change((await fresh.cursor()).place, number))
    async def read(_):
        return [row["item_id"] for row in (await store.items(ItemFilter())).rows]
    for line in sys.stdin:
        name, number = json.loads(line)
        try:
            answer = await {"write": write, "read": read, "rebuild": rebuild}[name](number)
        except Exception as error:
            answer = repr(error)
        print(json.dumps(answer), flush=True)
    await store.close()

asyncio.run(main())
"""


class Account:
    """A process of one account, with the file mode mask of its service."""

    def __init__(self, path: Path, user: int, umask: int) -> None:
        account = {"user": user, "group": user, "extra_groups": [GROUP]} if user else {}
        self._process = subprocess.Popen(
            [Toolchain()["services_python"], "-c", PROGRAM, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            umask=umask,
            **account,  # type: ignore[call-overload]
        )

    def __call__(self, what: str, number: int = 0) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([what, number]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder as a host has it: the projector's, its group's, and nobody else's."""
    folder = Path(tempfile.mkdtemp(prefix="shared-", dir="/tmp"))
    os.chown(folder, PROJECTOR, GROUP)
    folder.chmod(0o2770)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def account(shared: Path) -> Iterator[Callable[[int, int], Account]]:
    running: list[Account] = []

    def start(user: int, umask: int) -> Account:
        running.append(Account(shared / "projection.sqlite3", user, umask))
        return running[-1]

    yield start
    for process in running:
        process.kill()


@pytest.mark.as_root
def test_two_accounts_and_root_share_a_projection(
    shared: Path, account: Callable[[int, int], Account]
) -> None:
    projector, api = account(PROJECTOR, 0o007), account(API, 0o007)
    assert projector("write", 1) is None
    assert api("read") == ["i-1"]
    assert projector("write", 2) is None
    assert api("read") == ["i-2", "i-1"]
    # Whoever comes first makes what is beside the file, and it may be killed.
    projector.kill()
    api.kill()
    api, projector = account(API, 0o077), account(PROJECTOR, 0o077)
    assert api("read") == ["i-2", "i-1"]
    assert projector("write", 3) is None
    assert api("read") == ["i-3", "i-2", "i-1"]
    # By hand, as root and with root's usual mask.
    assert account(0, 0o022)("rebuild", 9) is None
    assert api("read") == ["i-9"]
    assert projector("write", 10) is None
    assert projector("rebuild", 11) is None
    assert api("read") == ["i-11"]
    modes = {path.name: stat.filemode(path.stat().st_mode) for path in shared.iterdir()}
    assert set(modes.values()) == {"-rw-rw----"}, modes
    assert {path.stat().st_gid for path in shared.iterdir()} == {GROUP}


@pytest.mark.as_root
def test_root_may_be_the_first(shared: Path, account: Callable[[int, int], Account]) -> None:
    assert account(0, 0o022)("rebuild", 1) is None
    assert account(PROJECTOR, 0o007)("write", 2) is None
    assert account(API, 0o007)("read") == ["i-2", "i-1"]
    assert {path.stat().st_uid for path in shared.iterdir()} <= {PROJECTOR, API}


@pytest.mark.parametrize(
    ("folder", "file"), [(0o700, 0o600), (0o755, 0o640), (0o770, 0o660), (0o777, 0o660)]
)
def test_a_file_is_as_open_as_its_folder_but_to_strangers(
    tmp_path: Path, folder: int, file: int
) -> None:
    tmp_path.chmod(folder)
    path = tmp_path / "projection.sqlite3"
    files.make(path)
    assert stat.S_IMODE(path.stat().st_mode) == file
    path.write_text("kept")
    files.make(path)
    assert path.read_text() == "kept"
