"""What a client of the first version calls and reads is there in the second, as it was."""

import ast
from typing import Any

import pytest

from .jobs import FIRST, SECOND, Jobs
from .vm import CONTRACTS

PACK_FUNCTIONS = {
    "submit_item": ["item_id", "payload_uri", "kind", "metadata_ref"],
    "claim_item": ["item_id"],
    "complete_item": ["item_id", "result_uri"],
    "fail_item": ["item_id", "reason"],
    "cancel_item": ["item_id", "reason"],
    "get_item": ["item_id"],
    "add_worker": ["account"],
    "remove_worker": ["account"],
    "is_worker": ["account"],
}
NEW_FUNCTIONS = {
    *("stop_item", "stop_items", "archive_items"),
    *("set_retention", "pause_claims", "resume_claims"),
}
NEW_EVENTS = {
    *("ItemStopRequested", "ItemArchived"),
    *("RetentionChanged", "ClaimsPaused", "ClaimsResumed"),
}


def functions(file: str) -> dict[str, list[tuple[str, str, str | None]]]:
    """Return each exported function's arguments as (name, type, default)."""
    tree = ast.parse((CONTRACTS / file).read_text(encoding="utf-8"))
    found = {}
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or not function.decorator_list:
            continue
        arguments = function.args.args
        missing = len(arguments) - len(function.args.defaults)
        defaults = [None] * missing + [ast.unparse(default) for default in function.args.defaults]
        types = [ast.unparse(each.annotation) if each.annotation else "" for each in arguments]
        names = [each.arg for each in arguments]
        found[function.name] = list(zip(names, types, defaults, strict=True))
    return found


def test_new_arguments_come_last_with_defaults() -> None:
    first, second = functions(FIRST.file), functions(SECOND.file)
    for name, arguments in first.items():
        kept, new = second[name][: len(arguments)], second[name][len(arguments) :]
        assert kept == arguments, name
        assert all(default is not None for _, _, default in new), name
    assert second.keys() - first.keys() == NEW_FUNCTIONS


@pytest.mark.parametrize("file", [FIRST.file, SECOND.file])
def test_functions_of_the_pack_are_there(file: str) -> None:
    found = functions(file)
    for name, arguments in PACK_FUNCTIONS.items():
        assert [argument for argument, _, _ in found[name]][: len(arguments)] == arguments


def events(file: str) -> dict[str, dict[str, Any]]:
    """Return each event's fields, in their order, and whether they are indexed."""
    tree = ast.parse((CONTRACTS / file).read_text(encoding="utf-8"))
    values = {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }

    def resolved(node: ast.expr) -> ast.expr:
        return (
            resolved(values[node.id]) if isinstance(node, ast.Name) and node.id in values else node
        )

    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "LogEvent"):
            continue
        params = next(keyword.value for keyword in value.keywords if keyword.arg == "params")
        fields = resolved(params)
        assert isinstance(fields, ast.Dict)
        found[name] = {
            ast.literal_eval(key): ast.unparse(resolved(kind))
            for key, kind in zip(fields.keys, fields.values, strict=True)
            if key is not None
        }
    return found


def test_events_stay_but_for_new_fields_at_the_end() -> None:
    first, second = events(FIRST.file), events(SECOND.file)
    for name, fields in first.items():
        assert list(second[name].items())[: len(fields)] == list(fields.items()), name
    assert {name for name in first if second[name] != first[name]} == {"ItemSubmitted"}
    assert second["ItemSubmitted"] == {
        **first["ItemSubmitted"],
        "client": "str",
        "priority": "int",
    }
    assert second.keys() - first.keys() == NEW_EVENTS


def test_letters_keep_their_meaning(deployed: Any) -> None:
    first: Jobs = deployed.jobs(FIRST)
    second: Jobs = deployed.jobs(SECOND)
    old, new = first.read("get_answers"), second.read("get_answers")
    assert old.items() <= new.items()
    assert set("".join(new.keys() - old.keys())) == set("yzABCDEFGH")
    assert len(set(new.values())) == len(new)
