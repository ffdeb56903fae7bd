"""The lint of tasks: each way to another account is found, and what is safe is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import lint_tasks

LOCAL = {"delegate_to": "localhost"}


def rules(place: Path, *tasks: dict[str, Any], **variables: Any) -> list[str]:
    """The rules that a role with these tasks breaks."""
    role = place / "roles" / "one"
    (place / "playbooks").mkdir()
    for name, content in (("tasks", list(tasks)), ("vars", variables)):
        (role / name).mkdir(parents=True, exist_ok=True)
        if content:
            (role / name / "main.yml").write_text(yaml.safe_dump(content))
    return [finding.split(": ")[2] for finding in lint_tasks.lint(place)]


@pytest.mark.parametrize(
    "task",
    [
        {"ansible.builtin.file": {"path": "{{ home }}/push", "state": "directory"}},
        {"ansible.builtin.copy": {"src": "a", "dest": "/var/lib/workflow-backend/node/a"}},
        {"ansible.builtin.template": {"src": "a", "dest": "{{ _placed }}"}},
        {"ansible.builtin.fetch": {"src": "{{ home }}/a", "dest": "here"}},
        {"ansible.builtin.file": {"path": "{{ item }}"}, "loop": ["/etc/a", "{{ home }}/a"]},
        {"block": [{"ansible.builtin.file": {"path": "{{ home }}"}}]},
    ],
)
def test_root_in_an_accounts_folder_is_found(tmp_path: Path, task: dict[str, Any]) -> None:
    assert rules(tmp_path, task, _placed="{{ home }}/a") == ["root-follows-links"]


@pytest.mark.parametrize(
    "task",
    [
        {"ansible.builtin.file": {"path": "{{ _below }}", "state": "directory"}},
        {"ansible.builtin.copy": {"content": "", "dest": "/etc/workflow-backend/a"}},
        {"ansible.builtin.file": {"path": "{{ home }}/a"}, **LOCAL},
        {"account_files": {"folder": "{{ home }}", "destination": "{{ home }}"}},
    ],
)
def test_root_in_a_folder_of_its_own_is_not_found(tmp_path: Path, task: dict[str, Any]) -> None:
    assert rules(tmp_path, task, _below="{{ _snapshots_incoming }}/a") == []


@pytest.mark.parametrize(
    "task",
    [
        {"json_program": {"argv": ["a", "{{ one_index_dsn }}"]}},
        {"ansible.builtin.command": {"argv": "{{ _ask }}"}},
        {"ansible.builtin.command": "a --key {{ one_index_dsn }}"},
        {"json_program": {"argv": ["a"]}, "environment": {"DSN": "{{ one_index_dsn }}"}},
    ],
)
def test_secret_in_arguments_is_found(tmp_path: Path, task: dict[str, Any]) -> None:
    assert rules(tmp_path, task, _ask="{{ ['a', one_index_dsn] }}") == ["secret-in-arguments"]


@pytest.mark.parametrize(
    "task",
    [
        {"json_program": {"argv": ["a"], "secrets": {"dsn": "{{ one_index_dsn }}"}}},
        {"json_program": {"argv": ["a", "{{ '--dsn' if one_index_dsn else '' }}"]}},
        {"json_program": {"argv": "{{ ['a'] if one_index_dsn | length > 0 else [] }}"}},
        {"json_program": {"argv": ["a", "{{ one_public_keys }}"]}},
    ],
)
def test_secret_that_is_only_asked_about_is_not_found(tmp_path: Path, task: dict[str, Any]) -> None:
    assert rules(tmp_path, task) == []


ANSWER = {"json_program": {"argv": ["a"]}, "register": "__one"}


@pytest.mark.parametrize(
    "task",
    [
        {"ansible.builtin.fetch": {"src": "/etc/a", "dest": "here/{{ __one.answer.name }}"}},
        {"ansible.builtin.copy": {"content": "", "dest": "{{ _named }}"}, **LOCAL},
        {"ansible.builtin.debug": {"msg": "{{ lookup('file', __one.answer.name) }}"}},
        {"ansible.builtin.debug": {"msg": "{{ query('file', __one.answer.name) }}"}},
        {"ansible.builtin.debug": {"msg": "a"}, "with_fileglob": "{{ __one.answer.name }}/*"},
        {"ansible.builtin.include_tasks": "{{ __one.answer.name }}.yml"},
        {"ansible.builtin.file": {"path": "{{ item }}"}, "loop": "{{ __one.answer }}", **LOCAL},
    ],
)
def test_path_that_a_host_names_is_found(tmp_path: Path, task: dict[str, Any]) -> None:
    assert rules(tmp_path, ANSWER, task, _named="a/{{ __one.answer.name }}") == [
        "host-names-a-path"
    ]


def test_variables_in_a_folder_are_read_as_those_of_a_file(tmp_path: Path) -> None:
    kept = tmp_path / "roles" / "one" / "vars" / "main"
    kept.mkdir(parents=True)
    (kept / "programs.yml").write_text("_ask: ['a', '{{ one_index_dsn }}']\n")
    assert rules(tmp_path, {"json_program": {"argv": "{{ _ask }}"}}) == ["secret-in-arguments"]


def test_path_that_was_read_on_the_control_machine_is_not_found(tmp_path: Path) -> None:
    path = {"ansible.builtin.copy": {"content": "", "dest": "{{ __one.answer.name }}"}, **LOCAL}
    assert rules(tmp_path, ANSWER | LOCAL, path) == []


def test_task_in_a_block_runs_where_the_block_does(tmp_path: Path) -> None:
    copy = {"ansible.builtin.copy": {"content": "", "dest": "{{ __one.answer.name }}"}}
    assert rules(tmp_path, ANSWER, {"block": [copy], **LOCAL}) == ["host-names-a-path"]


def test_variables_of_a_block_are_those_of_its_tasks(tmp_path: Path) -> None:
    task = {"ansible.builtin.command": {"argv": ["a", "{{ given }}"]}, "vars": {"other": 1}}
    block = {"block": [task], "vars": {"given": "{{ one_index_dsn }}"}}
    assert rules(tmp_path, block) == ["secret-in-arguments"]


def test_value_is_followed_from_the_role_that_gives_it(tmp_path: Path) -> None:
    other = tmp_path / "roles" / "two" / "tasks"
    other.mkdir(parents=True)
    use = {"ansible.builtin.command": {"argv": ["a", "{{ two_word }}"]}}
    (other / "main.yml").write_text(yaml.safe_dump([use]))
    include = {"name": "two"}
    given = {"ansible.builtin.include_role": include, "vars": {"two_word": "{{ one_index_dsn }}"}}
    assert rules(tmp_path, given) == ["secret-in-arguments"]
