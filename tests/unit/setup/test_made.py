"""What the set-up of this clone has made."""

import json
import os
import re
import subprocess
import sys
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
import toolchain as set_up

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


def test_programs_are_where_the_record_says(toolchain: dict[str, Any]) -> None:
    programs = [
        *(toolchain[name] for name in ("cometbft", "node_python", "python", "services_python")),
        *(toolchain[name] for name in ("supervisorctl", "supervisord", "uv")),
        *(f"{toolchain['postgres_bin']}/{name}" for name in ("initdb", "pg_dump", "postgres")),
        f"{toolchain['services_bin']}/workflow-backend",
    ]
    assert [program for program in programs if not os.access(program, os.X_OK)] == []


def test_files_of_the_set_up_are_writable_by_their_owner_alone(toolchain: dict[str, Any]) -> None:
    where = places.places(REPO)
    found = [
        path
        for folder in (where.runtime, where.venv, where.cache / "tools")
        for path in folder.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o022
    ]
    assert Path(toolchain["runtime"]) == where.runtime
    assert found == []


def test_services_hold_nothing_under_the_gpl(toolchain: dict[str, Any]) -> None:
    licences = installed(toolchain["services_python"])
    assert "workflow-backend" in licences
    assert {name: text for name, text in licences.items() if COPYLEFT.search(text)} == {}
    assert [name for name, text in licences.items() if not text.strip()] == []


def test_search_for_the_gpl_finds_it_in_the_node(toolchain: dict[str, Any]) -> None:
    licences = installed(toolchain["node_python"])
    assert COPYLEFT.search(licences["xian-tech-contracting"])


def test_neither_product_environment_holds_a_development_tool(toolchain: dict[str, Any]) -> None:
    for python in (toolchain["services_python"], toolchain["node_python"]):
        assert not installed(python).keys() & {"ansible-core", "pip", "pytest", "supervisor"}


def test_interpreter_is_the_recorded_one(toolchain: dict[str, Any]) -> None:
    recorded = toolchain["versions"]["python"]
    assert recorded["version"].startswith(f"{cpython.SERIES}.")
    assert steps.file_digest(Path(recorded["executable"])) == recorded["sha256"]
    assert recorded["way"] != "Debian" or any(
        name.startswith("python3.14_") for name in recorded["packages"]
    )


def test_changed_interpreter_is_noticed(tmp_path: Path) -> None:
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


def test_interpreter_of_another_series_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / f"python{cpython.SERIES}"
    impostor.write_text("#!/bin/sh\nexit 1\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cpython._on_path(places.places(REPO)) is None


def test_set_up_again_says_and_changes_nothing(toolchain: dict[str, Any]) -> None:
    again = subprocess.run(
        [sys.executable, REPO / "setup" / "toolchain.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert again.stdout + again.stderr == ""
    assert json.loads((REPO / ".cache" / "toolchain.json").read_text()) == toolchain


def test_installed_packages_are_those_of_the_sources(toolchain: dict[str, Any]) -> None:
    runtime = Path(toolchain["runtime"])
    for name, distributions in environments.ENVIRONMENTS.items():
        made_from = {own.name: own.digest(REPO) for own in distributions}
        assert steps.is_made(runtime / name, made_from, environments._OWN)


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        ("services/.made-from.json", {"services"}),  # its requirements, or the interpreter
        ("services/.own-distributions.json", {"services"}),
        ("node/.made-from.json", {"node", "postgres"}),
        ("node/.own-distributions.json", {"node", "postgres"}),
        ("postgres/.made-from.json", {"postgres"}),
        ("bin/.made-from.json", {"node"}),
        ("supervisor/.made-from.json", {"supervisor"}),
    ],
)
def test_build_name_changes_with_what_a_program_runs_from(
    tmp_path: Path, changed: str, kinds: set[str]
) -> None:
    where = replace(places.places(REPO), repo=tmp_path, runtime=tmp_path / "runtime")
    for name in ("services", "node", "postgres", "bin", "supervisor"):
        for stamp in (steps.STAMP, environments._OWN):
            (where.runtime / name).mkdir(parents=True, exist_ok=True)
            (where.runtime / name / stamp).write_text("{}")
    before = environments.builds(where)
    (where.runtime / changed).write_text('{"another": 1}')
    after = environments.builds(where)
    assert {name for name in before if before[name] != after[name]} == kinds


def test_interpreter_that_a_set_up_made_is_not_taken_for_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another clone's environment is active: its interpreter goes with that clone."""
    made = tmp_path / "python" / "bin" / f"python{cpython.SERIES}"
    made.parent.mkdir(parents=True)
    answer = {"series": cpython.SERIES, "version": "3.14.0", "usual": True, "executable": str(made)}
    made.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    made.chmod(0o755)
    monkeypatch.setenv("PATH", str(made.parent))
    where = replace(places.places(REPO), runtime=tmp_path / "runtime")  # as an ordinary user's
    assert cpython._on_path(where) == made
    (tmp_path / "python" / "python.json").write_text("{}")
    assert cpython._on_path(where) is None


@pytest.mark.as_root
def test_interpreter_that_the_account_can_not_run_is_made_anew(
    toolchain: dict[str, Any], tmp_path: Path
) -> None:
    where = places.places(REPO)
    closed = tmp_path / "supervisord"
    closed.symlink_to("/bin/true")
    tmp_path.chmod(0o700)
    with pytest.raises(steps.SetupError, match=f"{where.account} can't execute {closed}"):
        set_up.refuse_closed(where, toolchain | {"supervisord": str(closed)})
    python = cpython.Python(closed, "3.14.0", "", "PATH")
    assert not cpython._runs(python, where.runtime / "python", where)


def test_set_up_leaves_the_tools_that_it_made(tmp_path: Path) -> None:
    """Whoever has activated `.venv`, or uses make, would else build on them."""
    file = tmp_path / "script.py"
    file.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import places\n"
        "places.leave_own_tools(Path(sys.argv[1]).parent)\n"
        "print(sys.prefix, os.environ['PATH'])\n"
    )
    output = subprocess.run(
        [REPO / ".venv" / "bin" / "python3", file, REPO / "setup"],
        env={**os.environ, "PATH": f"{REPO}/.venv/bin:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.endswith(" /usr/bin:/bin\n")
    assert str(REPO) not in output


def test_tools_are_removed_unless_they_run(tmp_path: Path) -> None:
    where = replace(places.places(REPO), repo=tmp_path, runtime=tmp_path / "runtime")
    program = where.runtime / "services" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        try:
            with pytest.raises(steps.SetupError, match=str(process.pid)):
                clean.clean(where)
            assert program.exists()
        finally:
            process.communicate(b"\n")
    clean.clean(where)
    assert not where.runtime.exists()


def test_contract_linter_names_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = tmp_path / "con_bad.s.py"
    contract.write_text("import os\n\n@export\ndef f():\n    return os\n")
    assert lint_contracts.main([str(contract)]) == 1
    assert f"{contract}:1:" in capsys.readouterr().out
