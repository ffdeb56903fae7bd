"""The disks' check: room for bytes and for files."""

from dataclasses import replace
from pathlib import Path

from workflow_backend.operations.disks import FileSystem
from workflow_backend.operations.health.checks import disks
from workflow_backend.operations.health.result import State


def test_disk_is_low_before_it_is_full() -> None:
    disk = FileSystem(Path("/data"), ("node", "index"), 9 << 30, 10**6)
    found = [disks.evaluate(replace(disk, free=gib << 30)) for gib in (0, 2, 9)]
    assert [check.state for check in found] == [State.FAILED, State.WARNING, State.OK]
    assert found[2].what == "9.0 GiB free on /data (node, index)"


def test_disk_without_room_for_files_is_full() -> None:
    disk = FileSystem(Path("/data"), ("node",), 9 << 30, 12)
    assert disks.evaluate(disk).state == State.FAILED
    assert disks.evaluate(disk).what.startswith("room for 12 files more")
    assert disks.evaluate(replace(disk, files=None)).state == State.OK
