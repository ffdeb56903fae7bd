"""The client's package runs where its users are, and both clients have one source."""

import ast
import tomllib
from pathlib import Path

import pytest

import sync_client

FOLDER = sync_client.FOLDER
SOURCES = [*FOLDER.glob("*.py"), *(FOLDER.parents[2] / "examples").glob("*.py")]


def test_blocking_client_is_what_the_awaited_one_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["sync_client.py", "--check"])
    assert sync_client.main() == 0


def test_translation_leaves_comments_and_texts_alone() -> None:
    source = '"""One."""\n\nasync def f():\n    """Await it."""\n    await g("await")  # await\n'
    translated = sync_client.translate(source, "_x.py").splitlines()[2:]
    assert translated == ["def f():", '    """Await it."""', '    g("await")  # await']


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_package_is_written_in_the_oldest_python_that_it_promises(path: Path) -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())
    oldest = project["project"]["requires-python"].removeprefix(">=")
    major, minor = map(int, oldest.split("."))
    ast.parse(path.read_text(), feature_version=(major, minor))


def test_package_is_typed() -> None:
    assert (FOLDER / "py.typed").exists()
