"""Why a host is not well: what its checks say, and the last words of the services that failed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        ("api", "api: it is away (see it). Last words: no such file"),
        ("node", "node: it is away (see it)"),
    ],
)
def test_last_words_are_those_of_failed_services_only(
    tmp_path: Path, failed: str, reason: str
) -> None:
    """Those of an earlier task stay a variable of the host until the run is over."""
    check = {"name": failed, "state": "failed", "what": "it is away", "hint": "see it"}
    told = {
        "program_last_words": "no such file",
        "workflow_services_names": ["api"],
        "workflow_services_health": {"rc": 1, "stdout": json.dumps({"checks": [check]})},
    }
    role = REPO / "roles" / "workflow_services"
    tasks = [
        {"ansible.builtin.set_fact": told},
        {"ansible.builtin.include_tasks": str(role / "tasks" / "assert_healthy.yml")},
    ]
    files = [str(role / kind / "main.yml") for kind in ("defaults", "vars")]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "play.yml"],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "it is away" in line]
    assert line.strip().removeprefix("msg: ").strip("'\"") == reason
