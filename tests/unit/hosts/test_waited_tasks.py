"""The tasks that scenarios wait for in a playbook's output are tasks that there are."""

import re
from pathlib import Path

REPO = Path(__file__).parents[3]
NAMES = {
    (file.relative_to(REPO).parts[1], re.sub(r"{{.*?}}", "*", name.strip("\"'")).strip())
    for file in REPO.glob("roles/*/tasks/**/*.yml")
    for name in re.findall(r"(?m)^ *- name: (.+)$", file.read_text(encoding="utf-8"))
}


def is_task(role: str, name: str) -> bool:
    """Whether a role has a task whose name is this one or begins with it."""
    return any(
        role == other
        and (known.startswith(name) or re.match(re.escape(known).replace(r"\*", ".*"), name))
        for other, known in NAMES
    )


def test_scenarios_wait_for_tasks_that_there_are() -> None:
    waited = {
        (file.name, role, name)
        for file in (REPO / "tests" / "hosts" / "scenarios").glob("**/*.py")
        for role, name in re.findall(
            r"TASK \[(\w+) : ([^\]\"'{]+)", file.read_text(encoding="utf-8")
        )
    }
    assert len(waited) > 5
    assert {found for found in waited if not is_task(*found[1:])} == set()
