"""The report of a run: a JSON file on the control machine that grows with each step."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import times
from ...errors import WorkflowError
from ..requests import Object, Request, parse


class Reported(Request):
    """The request of a step. `report` is a file on the control machine, or none."""

    report: Path | None = None


class Note(Reported):
    """Something that a playbook did."""

    what: str
    details: Object


def note(request: Note, *, check: bool) -> Object:
    """Add to the report what a playbook did."""
    del check
    return {"what": request.what, **request.details}


type Actions = dict[str, tuple[type[Reported], Callable[..., Object]]]
"""The model of each action's request, and the function that does it."""


def run_action(actions: Actions, name: str, given: dict[str, Any], *, check: bool) -> Object:
    """Run an action and add its answer to the report; raises WorkflowError."""
    model, run = actions[name]
    request = parse(model, given, name)
    try:
        answer = run(request, check=check)
    except WorkflowError as error:
        add(request.report, name, {"refused": error.explain()})
        raise
    add(request.report, name, answer)
    return answer


def add(path: Path | None, step: str, answer: Object) -> None:
    """Add a step at once: the report of a run that is killed has all that it did."""
    if path is None:
        return
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError, ValueError:
        report = {"steps": []}
    report["steps"].append({"at": times.now("milliseconds"), "step": step, **answer})
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
