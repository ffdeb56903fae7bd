"""Tasks are named by what they do: that is what an operator reads while a playbook runs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parents[2]

VERBS = frozenset(
    re.findall(
        r"\w+",
        """
        abort add apply ask assert assign begin bootstrap bring build change check choose clean
        clear collect commit compare configure copy count create decide define delete deploy
        derive detect determine disable discard download drain drop enable encrypt ensure
        execute explain export extract fail fetch fill find follow forget gather generate get
        give go import include inspect install join judge keep let link list load locate lock
        make mark measure merge move notify offer open pack parse pause pick plan prepare print
        prove prune publish pull push put query quiesce read record recover recreate refuse
        register reload remember remove rename render repeat replace report require reset
        resolve restart restore resume retire return revert roll run save say select send set
        show sign skip start stop store swap switch sync take tell throw try turn undo unpack
        update upgrade upload use validate verify wait warn withdraw write
        """,
    )
)


def content(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8")) or []


def tasks_of(given: Any) -> Iterator[dict[str, Any]]:
    """Every task in a file's tasks or plays, those of blocks too; a play itself is none."""
    for task in given:
        if "hosts" not in task and "ansible.builtin.import_playbook" not in task:
            yield task
        for part in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks_of(task.get(part) or [])


def playbooks() -> list[Path]:
    """Every playbook; a link is the name that one has in the installed collection."""
    return sorted(file for file in (REPO / "playbooks").glob("*.yml") if not file.is_symlink())


def names() -> list[str]:
    files = [*REPO.glob("roles/*/tasks/**/*.yml"), *REPO.glob("roles/*/handlers/*.yml")]
    files += playbooks()
    return [task["name"] for file in files for task in tasks_of(content(file))]


def test_task_names_begin_with_a_verb() -> None:
    tasks = names()
    nouns = [
        name for name in tasks if name.split()[0].lower() not in VERBS or len(name.split()) == 1
    ]
    assert len(tasks) > 300
    assert len(nouns) <= 0.15 * len(tasks), nouns
