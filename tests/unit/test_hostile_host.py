"""A host that lies: what it answers is not a variable, and acts on no terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[2]
ESCAPES = "a\x1b[2J\x1b[8mhidden\x07\r\x9b31m\u202e\nTASK [forged] ****\nok: [other]"


class Hostile:
    """A host whose Python answers each module with what a test chooses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def play(self, answer: dict[str, Any] | str, *tasks: dict[str, Any], **environment: str) -> str:
        """Run a module there, then the tasks; return what is printed."""
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (self._folder / "answer.json").write_text(text)
        python = self._folder / "python"
        python.write_text(f"#!/bin/sh\nexec cat {self._folder}/answer.json\n")
        python.chmod(0o700)
        module = {
            "name": "Ask it",
            "ansible.builtin.command": "id",
            "register": "asked",
            "ignore_errors": True,
            "diff": True,
        }
        play = [{"hosts": "all", "gather_facts": False, "tasks": [module, *tasks]}]
        (self._folder / "play.json").write_text(json.dumps(play))
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("ansible-playbook"), "-i", "liar,", "play.json"),
                *("-e", f"ansible_connection=local ansible_python_interpreter={python}"),
            ],
            cwd=self._folder,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


def test_facts_that_a_host_answers_are_no_variables(hostile: Hostile) -> None:
    facts = {"workflow_services_report": "/etc/passwd", "xian_node_peers": ["id@evil:1"]}
    output = hostile.play(
        {"changed": False, "rc": 0, "stdout": "", "ansible_facts": facts},
        {
            "name": "Tell",
            "ansible.builtin.debug": {
                "msg": "report={{ workflow_services_report | default('unset') }} "
                "peers={{ hostvars.liar.xian_node_peers | default('unset') }}"
            },
        },
    )
    assert "report=unset peers=unset" in output, output


def test_text_of_a_host_is_no_template(hostile: Hostile) -> None:
    output = hostile.play(
        {"changed": False, "rc": 0, "stdout": "{{ 6 * 7 }}{{ undefined_there }}"},
        {"name": "Tell", "ansible.builtin.debug": {"msg": "said: {{ asked.stdout }}"}},
    )
    assert "said: {{ 6 * 7 }}{{ undefined_there }}" in output, output


@pytest.mark.parametrize(
    "answer",
    [
        {"failed": True, "msg": ESCAPES, "rc": 1},
        {"changed": False, "rc": 0, "stdout": ESCAPES, "warnings": [ESCAPES]},
        {"changed": True, "rc": 0, "diff": {"prepared": ESCAPES}},
        {"changed": True, "rc": 0, "diff": {"before": "", "after": ESCAPES}},
    ],
)
def test_text_of_a_host_acts_on_no_terminal_and_forges_no_line(
    hostile: Hostile, answer: dict[str, Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    shown = {"name": "Tell", "ansible.builtin.debug": {"var": "asked"}}
    failed = {"name": "End", "ansible.builtin.fail": {"msg": "not well: {{ asked }}"}}
    output = hostile.play(answer, shown, failed, ANSIBLE_LOG_PATH=str(log))
    for text in (output, log.read_text()):
        for act in ("\x1b[2J", "\x1b[8m", "\x07", "\r", "\x9b", "\u202e"):
            assert act not in text, ascii(act)
        lines = [
            line.partition("m")[2] if line.startswith("\x1b") else line
            for line in text.splitlines()
        ]
        assert not [line for line in lines if line.startswith(("TASK [forged]", "ok: [other]"))]


def test_answer_without_end_is_the_failure_of_its_host(hostile: Hostile) -> None:
    output = hostile.play(
        '{"changed": false, "rc": 0, "a": ' + '{"a": ' * 20_000 + "1" + "}" * 20_001
    )
    assert "fatal: [liar]: FAILED! => its answer holds values in one another" in output, output
    assert "Traceback" not in output
