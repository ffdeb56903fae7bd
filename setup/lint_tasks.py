"""Look through roles and playbooks for three ways to another account that no other linter finds.

- root-follows-links: a module of Ansible's own follows links, so root uses it only below folders
  that no other account may write.
- secret-in-arguments: every account of a machine reads arguments and environments.
- host-names-a-path: what a host answered is no path on the control machine, until a program of
  ours has read it there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from jinja2 import Environment, TemplateSyntaxError, nodes

ROOTS_FOLDERS = {
    "_snapshots_incoming",
    "_snapshots_outgoing",
    "_snapshots_timer_files",
    "_xian_recovery_incoming",
    "release_root",
    "snapshots_scratch",
}
"""Variables whose values are paths below folders of root's own."""

HOLD_NO_SECRET = {"_snapshots_environment"}
"""Variables that name a secret's setting only where its value was looked through and holds none."""

_FILE_MODULES = frozenset(
    [
        "assemble",
        "blockinfile",
        "copy",
        "file",
        "get_url",
        "lineinfile",
        "replace",
        "synchronize",
        "tempfile",
        "template",
        "unarchive",
    ]
)
_READING_MODULES = frozenset({"bounded_fetch", "fetch", "slurp"})
_PATHS = ("dest", "path", "src", "name")
_SECRET_ENDS = ("_dsn", "_key", "_keys", "_password", "_secret", "_seed", "_token")
_TRUTHS = frozenset({"bool", "holds_secret", "length"})
_LOOKS_UP = re.compile(r"\b(lookup|query|q)\(")
_PARTS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
_BLOCKS = frozenset({"block", "rescue", "always"})
_INHERITED = ("delegate_to", "vars")
_ROLES = frozenset({"import_role", "include_role"})
_JINJA = Environment()  # noqa: S701 - it only parses


@dataclass
class Scope:
    """What the names in a role mean: the variables of all roles, and what hosts answered."""

    variables: dict[str, Any] = field(default_factory=dict)
    answers: set[str] = field(default_factory=set)
    given: dict[str, list[Any]] = field(default_factory=dict)
    """What tasks that include a role give its variables."""

    def reached(self, value: Any, stop: frozenset[str] | set[str] = frozenset()) -> set[str]:
        """Return each name that a value is made of, through the role's variables but `stop`."""
        reached: set[str] = set()
        left = _names(value)
        while left:
            name = left.pop()
            if name not in reached:
                reached.add(name)
                if name not in stop:
                    left |= _names(self.variables.get(name)) | _names(self.given.get(name))
        return reached

    def first(self, path: Any) -> str:
        """Return the variable that a path begins with: root's folder, or the last that is known."""
        name = ""
        while str(path).lstrip().startswith("{{") and name not in ROOTS_FOLDERS:
            name = next(_flowing(_parsed(str(path))), "")
            path = self.variables.get(name)
        return name


def main(arguments: list[str]) -> int:
    """Print `file: task: rule: what` for each finding; return 1 if there is any."""
    root = Path(arguments[0]) if arguments else Path(__file__).parents[1]
    findings = list(lint(root))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings in roles and playbooks")
    return 1 if findings else 0


def lint(root: Path) -> Iterator[str]:
    """Yield what is wrong in a repository's roles and playbooks."""
    folders = [*sorted((root / "roles").iterdir()), root / "playbooks"]
    tasks = [
        (file, task)
        for folder in folders
        for pattern in ("tasks/**/*.yml", "handlers/*.yml", "*.yml")
        for file in sorted(folder.glob(pattern))
        for task in _tasks(_read(file))
    ]
    scope = _scope(folders, [task for _, task in tasks])
    for file, task in tasks:
        for rule, what in _findings(task, scope):
            yield f"{file.relative_to(root)}: {task.get('name', '-')}: {rule}: {what}"


def _scope(folders: Sequence[Path], tasks: Sequence[Mapping[str, Any]]) -> Scope:
    """Return what names mean in all roles: each role's begin with its own name."""
    scope = Scope()
    # What is named `main` may be a file or a folder of files.
    for folder in folders:
        for pattern in ("defaults/main.yml", "defaults/main/*", "vars/main.yml", "vars/main/*"):
            for kept in sorted(folder.glob(pattern)):
                scope.variables |= _read(kept) or {}
    for task in tasks:
        scope.variables |= task.get("set_fact") or task.get("ansible.builtin.set_fact") or {}
        if "register" in task and not _is_local(task):
            scope.answers.add(task["register"])
        if _includes_role(task):
            for name, value in (task.get("vars") or {}).items():
                scope.given.setdefault(name, []).append(value)
    return scope


def _includes_role(task: Mapping[str, Any]) -> bool:
    return any(key.removeprefix("ansible.builtin.") in _ROLES for key in task)


def _findings(task: dict[str, Any], scope: Scope) -> Iterator[tuple[str, str]]:
    own = task.get("vars") or {}
    given = {name: values for name, values in scope.given.items() if name not in own}
    scope = Scope(scope.variables | own, scope.answers, given)
    if "loop" in task:
        scope.variables["item"] = task["loop"]
    for key, given in task.items():
        module = key.removeprefix("ansible.builtin.").removeprefix("xian.workflow_backend.")
        arguments = given if isinstance(given, dict) else {"argv": given}
        if not _is_local(task) and module in _FILE_MODULES | _READING_MODULES:
            yield from _followed(module, arguments, scope)
        if module in {"command", "shell", "raw", "script", "json_program"}:
            yield from _exposed({"argv": arguments.get("argv"), "cmd": arguments.get("cmd")}, scope)
        if module == "environment":
            yield from _exposed({"environment": given}, scope)
        if key.startswith("with_"):
            for name in sorted(scope.reached(given) & scope.answers):
                yield "host-names-a-path", f"{name} in {key}"
        if key == "loop" or isinstance(given, (dict, str)):
            yield from _named(module, arguments, task, scope)


def _followed(module: str, given: dict[str, Any], scope: Scope) -> Iterator[tuple[str, str]]:
    """Root's use of a module that follows links, anywhere but below root's own folders."""
    paths = ("src",) if module in _READING_MODULES else ("dest", "path")
    for name in paths:
        if name not in given:
            continue
        value = scope.variables["item"] if given[name] == "{{ item }}" else given[name]
        for path in value if isinstance(value, list) else [value]:
            if (
                not str(path).startswith(("/etc/", "/opt/"))
                and scope.first(path) not in ROOTS_FOLDERS
            ):
                yield "root-follows-links", f"{module} {name}: {path}"


def _exposed(given: Mapping[str, Any], scope: Scope) -> Iterator[tuple[str, str]]:
    for place, value in given.items():
        for name in sorted(scope.reached(value, HOLD_NO_SECRET)):
            if name.endswith(_SECRET_ENDS) and not name.endswith("_public_keys"):
                yield "secret-in-arguments", f"{name} in {place}"


def _named(
    module: str, given: dict[str, Any], task: dict[str, Any], scope: Scope
) -> Iterator[tuple[str, str]]:
    """Paths of the control machine that are made of what a host answered."""
    ours: list[Any] = list(_looked_up(given))
    if _is_local(task) and module in _FILE_MODULES | _READING_MODULES:
        ours += [given.get(name) for name in _PATHS]
    elif module in {"copy", "template"}:
        ours += [given.get("src")]
    elif module in {"bounded_fetch", "fetch"}:
        ours += [given.get("dest")]
    elif module in {"include_tasks", "import_tasks", "include_vars", "include_role"}:
        ours += list(given.values())
    for value in ours:
        for name in sorted(scope.reached(value) & (scope.answers | {"ansible_facts"})):
            yield "host-names-a-path", f"{name} in {module}"


def _looked_up(value: Any) -> Iterator[str]:
    """Yield the expressions in a value that read a file of the control machine."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _looked_up(part)
    elif isinstance(value, list):
        for part in value:
            yield from _looked_up(part)
    elif isinstance(value, str) and _LOOKS_UP.search(value):
        yield value


def _is_local(task: Mapping[str, Any]) -> bool:
    return "localhost" in task.get("delegate_to", "") or "local_action" in task


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {name for part in value.values() for name in _names(part)}
    if isinstance(value, list):
        return {name for part in value for name in _names(part)}
    if not isinstance(value, str):
        return set()
    return set(_flowing(_parsed(value)))


def _flowing(node: nodes.Node) -> Iterator[str]:
    """Yield the names whose values flow into an expression's; what is only asked about does not."""
    if isinstance(node, (nodes.Test, nodes.Compare, nodes.Not)):
        return
    if isinstance(node, nodes.Filter) and node.name in _TRUTHS:
        return
    if isinstance(node, nodes.Name) and node.ctx == "load":
        yield node.name
    for child in node.iter_child_nodes(exclude=("test",)):
        yield from _flowing(child)


def _parsed(text: str) -> nodes.Template:
    try:
        return _JINJA.parse(text)
    except TemplateSyntaxError:
        return nodes.Template([])


def _tasks(
    content: Any, block: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """Yield every task, with what it has from the blocks that it is in."""
    for own in content or []:
        task = {**block, **own}
        if "vars" in block and "vars" in own:
            task["vars"] = {**block["vars"], **own["vars"]}
        yield task
        for part in _PARTS:
            inherited = {name: task[name] for name in _INHERITED if name in task}
            yield from _tasks(own.get(part), inherited if part in _BLOCKS else {})


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
