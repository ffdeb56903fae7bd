"""The locked requirement files."""

import ast
import re
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[3] / "setup"
LOCKS = sorted((SETUP / "requirements").glob("*.txt"))


def pins(name: str) -> dict[str, str]:
    text = (SETUP / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_lock_pins_hashes_and_holds_no_address(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE))
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+(\[[^]]*\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
        assert "://" not in entry
        assert "--index" not in entry


@pytest.mark.parametrize("name", ["services", "node"])
def test_tests_run_the_versions_that_are_deployed(name: str) -> None:
    assert pins(name).items() <= pins("control").items()


def test_set_up_reads_as_python_3_9() -> None:
    modules = [path for path in SETUP.glob("*.py") if path.name != "lint_contracts.py"]
    assert modules
    for module in modules:
        ast.parse(module.read_text(), str(module), feature_version=(3, 9))
