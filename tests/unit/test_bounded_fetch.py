"""A host fills no disk of the control machine with a file that is longer than it is known to be."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


def fetch(folder: Path, *most: int) -> str:
    """Fetch the folder's file `there` as `here`, of no more than so many bytes each time."""
    task = {
        "name": "Fetch",
        "xian.workflow_backend.bounded_fetch": {
            "src": str(folder / "there"),
            "dest": str(folder / "here"),
            "most_bytes": "{{ item }}",
        },
        "loop": most,
    }
    (folder / "play.json").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}])
    )
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "host,", "play.json"),
            *("-e", f"ansible_connection=local ansible_python_interpreter={sys.executable}"),
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_file_of_known_size_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x" * 100_000)
    output = fetch(tmp_path, 100_000)
    assert "changed=1" in output, output
    assert (tmp_path / "here").read_bytes() == b"x" * 100_000


def test_limit_of_one_file_of_a_loop_is_not_that_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x" * 100_000)
    output = fetch(tmp_path, 99_999, 100_000)
    assert "failed: [host] (item=99999)" in output, output
    assert "changed: [host] => (item=100000)" in output, output
    assert (tmp_path / "here").read_bytes() == b"x" * 100_000


@pytest.mark.parametrize("size", [100_001, 1 << 28])
def test_longer_file_is_refused_and_nothing_of_it_stays(tmp_path: Path, size: int) -> None:
    (tmp_path / "there").touch()
    os.truncate(tmp_path / "there", size)
    output = fetch(tmp_path, 100_000)
    assert f"{tmp_path}/there is longer than the 100000 bytes" in output, output
    assert "Traceback" not in output
    assert not (tmp_path / "here").exists()


LYING_STAT = """#!/usr/bin/python
import json
print(json.dumps({"changed": False, "stat": {"exists": True, "isdir": False%s}}))
"""

SLURP = """#!/usr/bin/python
import json, pathlib
pathlib.Path("slurped").touch()
print(json.dumps({"content": "eHh4", "encoding": "base64"}))
"""


@pytest.mark.parametrize("checksum", ["", ', "checksum": ""', ', "checksum": "1"'])
def test_host_that_names_no_checksum_sends_nothing_into_memory(
    tmp_path: Path, checksum: str
) -> None:
    (tmp_path / "there").write_bytes(b"xxx")
    modules = tmp_path / "library"
    modules.mkdir()
    (modules / "stat.py").write_text(LYING_STAT % checksum)
    (modules / "slurp.py").write_text(SLURP)
    said = fetch(tmp_path, 100)
    assert f"the host names no checksum of {tmp_path}/there: nothing is fetched" in said, said
    assert not (tmp_path / "here").exists()
    assert not (tmp_path / "slurped").exists()


def test_size_that_would_fill_the_disk_is_refused_before_a_byte_is_fetched(tmp_path: Path) -> None:
    """How long a file is says the host itself."""
    (tmp_path / "there").touch()
    os.truncate(tmp_path / "there", 1 << 20)
    free = shutil.disk_usage(tmp_path).free
    said = fetch(tmp_path, free - (1 << 29))
    assert f"{tmp_path} has " in said, said
    assert "nothing is fetched" in said, said
    assert not (tmp_path / "here").exists()
