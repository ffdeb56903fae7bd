"""What `workflow-backend recovery` does, by the name of the action."""

from collections.abc import Callable
from typing import Any

from ...errors import WorkflowError
from ..asking import Object, parse
from ..upgrades import report
from . import alone, gate, homes, index, new_home, sync, trust
from .reported import Reported


class Note(Reported):
    """Something to write down."""

    what: str
    told: Object


def note(wanted: Note, *, check: bool) -> Object:
    """Write down what a playbook did."""
    del check
    return {"what": wanted.what, **wanted.told}


ACTIONS: dict[str, tuple[type[Reported], Callable[..., Object]]] = {
    "gate": (gate.Gate, gate.gate),
    "new-home": (new_home.NewHome, new_home.new_home),
    "home": (homes.Home, homes.home),
    "alone": (alone.Alone, alone.alone),
    "trust": (trust.Trust, trust.trust),
    "sync": (sync.Sync, sync.sync),
    "index-now": (index.Now, index.now),
    "index": (index.Load, index.load),
    "note": (Note, note),
}


def act(action: str, request: dict[str, Any], *, check: bool) -> Object:
    """Do what a request asks and write down what came of it; raises WorkflowError."""
    kind, run = ACTIONS[action]
    wanted = parse(kind, request, action)
    try:
        answer = run(wanted, check=check)
    except WorkflowError as error:
        report.add(wanted.report, action, {"refused": error.explain()})
        raise
    report.add(wanted.report, action, answer)
    return answer
