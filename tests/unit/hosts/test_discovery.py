"""Which scenarios there are, and which of them a word means."""

from pathlib import Path

import pytest
from tests.hosts.discovery import chosen, scenarios

from steps import SetupError

FILES = (
    "roles/release/molecule/default/molecule.yml",
    "roles/release/molecule/full-disk/molecule.yml",
    "roles/postgres/molecule/default/molecule.yml",
    "roles/postgres/tasks/main.yml",
    "tests/hosts/molecule/consortium/molecule.yml",
    "tests/hosts/scenarios/test_release.py",
    "tests/hosts/scenarios/test_cuts.py",
    "tests/hosts/scenarios/conftest.py",
    "tests/hosts/scenarios/long/test_postgres.py",
    "tests/hosts/scenarios/long/test_weeks.py",
)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def names(repo: Path, *words: str) -> list[str]:
    return [scenario.name for scenario in chosen(scenarios(repo), words)]


def test_all_but_the_long_ones_are_run_without_words(repo: Path) -> None:
    assert names(repo) == [
        *("consortium", "postgres", "release", "release/full-disk", "test_cuts", "test_release")
    ]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["release"], ["release", "release/full-disk", "test_release"]),
        (["release/full-disk"], ["release/full-disk"]),
        (["test_release"], ["test_release"]),
        (["consortium", "cuts"], ["consortium", "test_cuts"]),
        (["weeks"], ["test_weeks"]),
        (["postgres"], ["postgres"]),
        (["test_postgres"], ["test_postgres"]),
    ],
)
def test_a_word_means_a_role_or_a_scenario(repo: Path, words: list[str], meant: list[str]) -> None:
    assert names(repo, *words) == meant


def test_unknown_word_is_named_with_those_that_are_known(repo: Path) -> None:
    with pytest.raises(SetupError, match="there is no scenario releas:") as raised:
        names(repo, "postgres", "releas")
    assert "consortium postgres release" in raised.value.remedy


def test_one_with_four_validators_is_busy(repo: Path) -> None:
    (repo / FILES[4]).write_text("platforms:\n  - name: validator-4\n")
    (repo / FILES[5]).write_text('SUITES = {"v1": "bookworm", "v4": "forky"}\n')
    (repo / FILES[6]).write_text('SUITES = {"v1": "bookworm"}  # ipv4\n')
    busy = [scenario.name for scenario in scenarios(repo) if scenario.is_busy]
    assert busy == ["consortium", "test_release"]


def test_molecule_runs_in_the_folder_of_its_project(repo: Path) -> None:
    (scenario,) = chosen(scenarios(repo), ["release/full-disk"])
    assert scenario.folder == repo / "roles/release"
    assert scenario.command[-2:] == ("--scenario-name", "full-disk")
    assert scenario.network.startswith("release-full-disk-")
