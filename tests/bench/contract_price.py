"""What each version of the contract costs: `python -m tests.bench.contract_price [FILE...]`.

It prints, for each source in `contracts/` or each given one: the nodes of its syntax tree and the
bytes of its compiled form (source positions apart), which the VM parses for each transaction; the
chi of each action, by entries in a batch; and the processor time of one transaction and of one more
entry, the least of several runs. Needs no node: transactions run in the node's VM.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracting.artifacts import compile_contract_source
from loguru import logger

from workflow_backend.contract_versions import VERSIONS

from ..contract.vm import CONTRACTS, Chain

NAME = "con_job_workflow"
OPERATOR, ALICE, WANDA, WALT = ("0" * 64, "a" * 64, "d" * 64, "e" * 64)
SIZES = (1, 10, 50, 128)
RUNS = 5
URI = "https://api.example.org/orders/0042/payload.json"
NOTHING: dict[str, Any] = {}
FIELDS: dict[str, dict[str, Any]] = {
    "submit": {"payload_uri": URI, "kind": "order", "metadata_ref": "invoice-2026-03-000042"},
    "claim": {"lease_seconds": 300},
    "renew": {"attempt": 1, "lease_seconds": 300},
    "release": {"attempt": 1},
    "complete": {"attempt": 1, "result_uri": URI},
    "fail": {"attempt": 1, "reason": "ValueError: the order has no lines"},
    "cancel": {"reason": "no need"},
}


def steps() -> Iterator[tuple[str, list[tuple[str, str]], str, str]]:
    """Yield (what is measured, what comes before it as (who, action), who, action)."""
    submitted = [(ALICE, "submit")]
    claimed = [*submitted, (WANDA, "claim")]
    stopping = [*claimed, (ALICE, "stop")]
    yield "submit", [], ALICE, "submit"
    yield "claim", submitted, WANDA, "claim"
    yield "claim, answered leased", claimed, WALT, "claim"
    for action in ("renew", "release", "complete", "fail"):
        yield action, claimed, WANDA, action
    yield "cancel", submitted, ALICE, "cancel"
    yield "retry", [*claimed, (WANDA, "fail")], ALICE, "retry"
    yield "stop", claimed, ALICE, "stop"
    yield "claim, ended by a stop", [*stopping, (WALT, "claim")], WALT, "claim"
    ended = [*submitted, (ALICE, "cancel")]
    yield "archive, begun", ended, WALT, "archive"
    yield "archive", [*ended, (WALT, "archive")], WALT, "archive"


def main(files: list[str]) -> int:
    """Print the figures of each source."""
    logger.remove()
    for file in files or [str(CONTRACTS / version.file) for version in VERSIONS]:
        source = Path(file).read_text(encoding="utf-8")
        print(f"{file}\n{compiled(source)}")
        with tempfile.TemporaryDirectory() as home:
            chain, deployed = _deploy(Path(home), source)
            print(f"deployment {deployed} chi")
            print("| action | 1 | 10 | 50 | 128 | ms of 1 | µs of one more |")
            for what, before, who, action in steps():
                if action in {"stop", "archive"} and f"def {action}_item" not in source:
                    continue
                if "stop" in what and "def stop_item" not in source:
                    continue
                print(f"| {what} | {' | '.join(_figures(chain, before, who, action))} |")
    return 0


def compiled(source: str) -> str:
    """Return what the VM has to parse."""
    text = compile_contract_source(module_name=NAME, source=source)["vm_ir_json"]
    nodes, positions = _count(json.loads(text))
    return f"{nodes} nodes, {len(text)} bytes, of which source positions {positions}"


def _count(tree: Any) -> tuple[int, int]:
    if isinstance(tree, dict):
        nodes, positions = int("node" in tree), 0
        if "span" in tree:
            positions = len(json.dumps({"span": tree["span"]}))
        parts = [_count(part) for key, part in tree.items() if key != "span"]
    else:
        nodes, positions = 0, 0
        parts = [_count(part) for part in tree] if isinstance(tree, list) else []
    return nodes + sum(part[0] for part in parts), positions + sum(part[1] for part in parts)


def _deploy(home: Path, source: str) -> tuple[Chain, int]:
    chain = Chain(home)
    deployed = chain.deploy(OPERATOR, NAME, source).chi
    for worker in (WANDA, WALT):
        chain.send(OPERATOR, NAME, "add_worker", account=worker)
    if "def set_retention" in source:
        chain.send(OPERATOR, NAME, "set_retention", seconds=300)
    chain.commit()
    return chain, deployed


def _figures(chain: Chain, before: list[tuple[str, str]], who: str, action: str) -> tuple[str, ...]:
    chi: dict[int, int] = {}
    spent: dict[int, float] = {}
    for run in range(RUNS):
        for size in SIZES:
            with chain.unchanged():
                ids = [f"0f8fad5b-d9cb-469f-a165-{run:04}{number:08}" for number in range(size)]
                for actor, earlier in before:
                    _apply(chain, actor, earlier, ids)
                    chain.block(300)
                started = time.process_time()
                chi[size] = _apply(chain, who, action, ids)
                seconds = time.process_time() - started
                spent[size] = min(spent.get(size, seconds), seconds)
    more = (spent[SIZES[-1]] - spent[1]) / (SIZES[-1] - 1)
    return *(f"{chi[size]:,}" for size in SIZES), f"{spent[1] * 1e3:.1f}", f"{more * 1e6:.0f}"


def _apply(chain: Chain, who: str, action: str, ids: list[str]) -> int:
    entries = [{"item_id": item_id, **FIELDS.get(action, NOTHING)} for item_id in ids]
    batch = [{"action": action, **entry} for entry in entries]
    return chain.send(who, NAME, "apply_items", batch=batch).chi


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
