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
from toolchain_harness import Toolchain

from workflow_backend.errors import ProjectionUnavailable
from workflow_backend.store import files
from workflow_backend.store.sqlite import SqliteStore

GROUP, PROJECTOR, API = 61_050, 61_001, 61_002

# Does what each line of its input says, and stays in between: with the file open.
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from workflow_backend.chain.events import Cursor
from workflow_backend.items import Event, Item, EventPosition
from workflow_backend.settings import Settings
from workflow_backend.store import open_as_is
from workflow_backend.store.base import Change, ItemFilter

def change(since, number):
    position, name = EventPosition(number, 0, 0), f"i-{number}"
    event = Event(position, "ItemSubmitted", {"item_id": name}, "AB", "2026-01-01 00:00:00", number)
    at = "2026-01-01 00:00:00"
    item = Item(name, "r", "job", "p", "", "", "submitted", "", "", "", at, at, 0, 0, None)
    return Change(since, [event], [item], Cursor(position), number, {})

async def main():
    settings = Settings.load({
        "XIAN_CHAIN_ID": "chain-1", "XIAN_WORKFLOW_PROJECTION_PATH": sys.argv[1]})
    async with open_as_is(settings) as store:
        await serve(store)

async def serve(store):
    async def write(number):
        await store.prepare()
        await store.apply(change((await store.cursor()).position, number))
    async def rebuild(number):
        async with store.rebuilding() as fresh:
            await fresh.apply(change((await fresh.cursor()).position, number))
    async def read(_):
        return [row["item_id"] for row in (await store.items(ItemFilter())).rows]
    for line in sys.stdin:
        name, number = json.loads(line)
        try:
            answer = await {"write": write, "read": read, "rebuild": rebuild}[name](number)
        except Exception as error:
            answer = repr(error)
        print(json.dumps(answer), flush=True)

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
def test_projection_is_shared_by_two_accounts_and_root(
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
def test_projection_made_by_root_is_usable(
    shared: Path, account: Callable[[int, int], Account]
) -> None:
    assert account(0, 0o022)("rebuild", 1) is None
    assert account(PROJECTOR, 0o007)("write", 2) is None
    assert account(API, 0o007)("read") == ["i-2", "i-1"]
    assert {path.stat().st_uid for path in shared.iterdir()} <= {PROJECTOR, API}


@pytest.mark.as_root
def test_root_opens_no_more_than_the_folders_owner_may(
    shared: Path, account: Callable[[int, int], Account]
) -> None:
    assert account(PROJECTOR, 0o007)("write", 1) is None
    root, path = account(0, 0o022), shared / "projection.sqlite3"
    assert root("read") == ["i-1"]
    os.chown(path, 0, 0)
    path.chmod(0o600)
    root = account(0, 0o022)
    for what in ("read", "rebuild"):
        assert "ProjectionUnavailable" in str(root(what, 2)), what


@pytest.mark.parametrize("kind", ["link", "pipe"])
async def test_rebuild_waits_for_no_pipe_and_follows_no_link(tmp_path: Path, kind: str) -> None:
    store = SqliteStore(tmp_path / "projection.sqlite3", "chain-1", "con_job_workflow")
    lock = tmp_path / "projection.sqlite3.rebuild.lock"
    (tmp_path / "elsewhere").touch()
    lock.symlink_to(tmp_path / "elsewhere") if kind == "link" else os.mkfifo(lock)
    with pytest.raises(ProjectionUnavailable, match=f"{lock} is not a regular file"):
        async with store.rebuilding():
            pass


@pytest.mark.parametrize(
    ("folder", "file"), [(0o700, 0o600), (0o755, 0o640), (0o770, 0o660), (0o777, 0o660)]
)
def test_file_mode_follows_its_folder(tmp_path: Path, folder: int, file: int) -> None:
    tmp_path.chmod(folder)
    path = tmp_path / "projection.sqlite3"
    files.make(path)
    assert stat.S_IMODE(path.stat().st_mode) == file
    path.write_text("kept")
    files.make(path)
    assert path.read_text() == "kept"
