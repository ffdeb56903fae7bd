"""What the set-up of this clone has made."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import clean
import cpython
import environments
import lint_contracts
import places
import steps

REPO = Path(__file__).resolve().parents[3]
COPYLEFT = re.compile(r"(?<!L)(A?GPL|(?<!Lesser )General Public License)", re.IGNORECASE)

_INSTALLED = """
import importlib.metadata, json
print(json.dumps([
    [d.name, " ".join(filter(None, [
        d.metadata.get("License-Expression"), d.metadata.get("License"),
        *(c for c in d.metadata.get_all("Classifier", []) if c.startswith("License ::")),
    ]))]
    for d in importlib.metadata.distributions()
]))
"""


@pytest.fixture(scope="module")
def toolchain() -> dict[str, Any]:
    return dict(json.loads((REPO / ".cache" / "toolchain.json").read_text()))


def installed(python: str) -> dict[str, str]:
    """The licence that each distribution in an environment states."""
    answer = subprocess.run(
        [python, "-I", "-c", _INSTALLED], check=True, capture_output=True, text=True
    )
    return dict(json.loads(answer.stdout))


def test_every_program_is_where_the_record_says(toolchain: dict[str, Any]) -> None:
    programs = [
        *(toolchain[name] for name in ("cometbft", "node_python", "python", "services_python")),
        *(toolchain[name] for name in ("supervisorctl", "supervisord", "uv")),
        *(f"{toolchain['postgres_bin']}/{name}" for name in ("initdb", "pg_dump", "postgres")),
        f"{toolchain['services_bin']}/workflow-backend",
    ]
    assert [program for program in programs if not os.access(program, os.X_OK)] == []


def test_the_services_hold_nothing_under_the_gpl(toolchain: dict[str, Any]) -> None:
    licences = installed(toolchain["services_python"])
    assert "workflow-backend" in licences
    assert {name: text for name, text in licences.items() if COPYLEFT.search(text)} == {}
    assert [name for name, text in licences.items() if not text.strip()] == []


def test_the_search_for_the_gpl_finds_it_in_the_node(toolchain: dict[str, Any]) -> None:
    licences = installed(toolchain["node_python"])
    assert COPYLEFT.search(licences["xian-tech-contracting"])


def test_neither_product_environment_holds_a_development_tool(toolchain: dict[str, Any]) -> None:
    for python in (toolchain["services_python"], toolchain["node_python"]):
        assert not installed(python).keys() & {"ansible-core", "pip", "pytest", "supervisor"}


def test_the_interpreter_is_the_recorded_one(toolchain: dict[str, Any]) -> None:
    recorded = toolchain["versions"]["python"]
    assert recorded["version"].startswith(f"{cpython.SERIES}.")
    assert steps.file_digest(Path(recorded["executable"])) == recorded["sha256"]
    assert recorded["way"] != "Debian" or any(
        name.startswith("python3.14_") for name in recorded["packages"]
    )


def test_a_changed_interpreter_is_noticed(tmp_path: Path) -> None:
    executable = tmp_path / "python"
    executable.write_text("one")
    record = {
        "executable": str(executable),
        "version": "3.14.0",
        "sha256": steps.file_digest(executable),
        "way": "PATH",
        "packages": {},
    }
    steps.write_json(tmp_path / "python.json", record)
    assert cpython._recorded(tmp_path) is not None
    executable.write_text("two")
    assert cpython._recorded(tmp_path) is None


def test_an_interpreter_of_another_series_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / f"python{cpython.SERIES}"
    impostor.write_text("#!/bin/sh\nexit 1\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cpython._on_path(places.places(REPO)) is None


def test_the_set_up_again_says_and_changes_nothing(toolchain: dict[str, Any]) -> None:
    again = subprocess.run(
        [sys.executable, REPO / "setup" / "toolchain.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert again.stdout + again.stderr == ""
    assert json.loads((REPO / ".cache" / "toolchain.json").read_text()) == toolchain


def test_what_is_installed_is_what_the_sources_say(toolchain: dict[str, Any]) -> None:
    assert toolchain["services_build"] == environments.SERVICES.digest(REPO)
    assert toolchain["node_build"] == environments.NODE.digest(REPO)


def test_the_tools_are_removed_unless_they_run(tmp_path: Path) -> None:
    where = replace(places.places(REPO), repo=tmp_path, runtime=tmp_path / "runtime")
    program = where.runtime / "services" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        try:
            # It is started before the kernel shows what it is.
            deadline = time.monotonic() + 10
            while not clean.running_from(where.runtime) and time.monotonic() < deadline:
                time.sleep(0.01)
            with pytest.raises(steps.Trouble, match=str(process.pid)):
                clean.clean(where)
            assert program.exists()
        finally:
            process.communicate(b"\n")
    clean.clean(where)
    assert not where.runtime.exists()


def test_the_contract_linter_names_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = tmp_path / "con_bad.s.py"
    contract.write_text("import os\n\n@export\ndef f():\n    return os\n")
    assert lint_contracts.main([str(contract)]) == 1
    assert f"{contract}:1:" in capsys.readouterr().out
