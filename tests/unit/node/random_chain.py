"""Runs random blocks in the node's own app and prints what a validator signs of each.

    random_chain.py NETWORK SEED TRANSACTIONS [CACHE_BYTES]

NETWORK is the folder of the network that the home in `$HOME` belongs to. The blocks follow from the
seed and from what the app answers alone. With CACHE_BYTES, the app has the cache of contracts' IR
(see `workflow_backend_node.ir_cache`), which keeps so many bytes. One JSON object a block.
"""

import asyncio
import hashlib
import json
import random
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from cometbft.abci.v1beta3.types_pb2 import RequestFinalizeBlock  # type: ignore[import-untyped]
from contracting.artifacts import compile_contract_source
from contracting.runtime_features import runtime_feature_state_key
from loguru import logger
from xian.execution_engine import clear_prepared_contract_cache
from xian.xian_abci import Xian
from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction

from workflow_backend_node import ir_cache

JOBS = (Path(__file__).parents[3] / "contracts" / "con_job_workflow.s.py").read_text()
COUNTER = """
count = Variable()
log = Hash(default_value=0)
Counted = LogEvent(event="Counted", params={"by": indexed(str), "count": int})

@construct
def seed(start: int = 0):
    assert start >= 0, "no count is below 0"
    count.set(start)

@export
def add(n: int = 1):
    log[ctx.caller, ctx.signer] += n
    count.set(count.get() + n)
    assert count.get() >= 0, "no count is below 0"
    Counted({"by": ctx.caller, "count": count.get()})
    return {"count": count.get(), "at": str(now), "entry": ctx.entry}
"""
SOURCES = {
    "counter": COUNTER,
    "jobs": JOBS,
    "static": """
import OTHER

@export
def add(n: int = 1):
    return OTHER.add(n=n)
""",
    "dynamic": """
@export
def add(n: int = 1, name: str = "OTHER"):
    first = importlib.import_module(name).add(n=n)
    return [first, importlib.import_module("currency").balance_of(address=ctx.this)]
""",
    "foreign": """
count = ForeignVariable(foreign_contract="OTHER", foreign_name="count")
log = ForeignHash(foreign_contract="OTHER", foreign_name="log")

@export
def add(n: int = 1):
    return [count.get(), log["OTHER", ctx.caller], importlib.owner_of("OTHER")]
""",
    "reflecting": """
@export
def add(n: int = 1, name: str = "OTHER"):
    wanted = [importlib.Func("add", args=("n",)), importlib.Var("count", Variable)]
    known = [importlib.exists(name), importlib.code_hash(name), importlib.contract_info(name)]
    known += [importlib.has_export(name, "add"), importlib.code_hash(name, kind="source")]
    return known + [importlib.enforce_interface(importlib.import_module(name), wanted)]
""",
    "zk": """
@export
def add(n: int = 1):
    return zk.is_available()
""",
    "decimals": """
total = Variable()

@construct
def seed():
    total.set(0.1)

@export
def add(n: float = 1e-7):
    total.set(total.get() * 1.000000119 + n + 123456789012345678901234567890 / 7e21)
    return total.get()
""",
    "endless": """
@export
def add(n: int = 1):
    while n > 0:
        n += 1
    return n
""",
    "odd": """
@export
def add(n: int = 1):
    values = [ITEM for ITEM in [{"a": set([n, 2])}, b"x", (n, None), "\\u00e9\\u2028\\U0001f600"]]
    return values[n]
""",
    "refusing": """
@construct
def seed():
    assert False, "never"

@export
def add(n: int = 1):
    return n
""",
    "wrong": "@export\ndef add(n: int):\n    import os\n    return eval('n')\n",
    "no Python": "def (",
}
ZK = runtime_feature_state_key("zk")
ACTIONS = ("submit", "claim", "claim", "complete", "fail", "release", "renew", "cancel", "retry")


class Traffic:
    """Random transactions of a few people who meet on a few items and contracts."""

    def __init__(self, app: Any, network: Path, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it is to be repeated
        self._app = app
        operator = json.loads((network / "operator.json").read_text())["private_key"]
        keys = [operator, *_validator_keys(network)]
        keys += [hashlib.sha256(f"{seed} {n}".encode()).hexdigest() for n in range(4)]
        self.people = [Wallet(private_key=key) for key in keys]
        self.operator = self.people[0]
        self.deployed: dict[str, str] = {}
        """Contracts that somebody tried to deploy, and their kinds."""
        self._nonces: dict[str, int] = {}

    def begin_block(self) -> None:
        self._nonces = {}

    def opening(self) -> Iterator[bytes]:
        """What makes the rest worth something: contracts of each kind, funds and workers."""
        self._app.client.raw_driver.set(ZK, True)
        yield self._signed(self.operator, *self._deployment("jobs", "con_job_workflow"))
        for number, kind in enumerate(SOURCES):
            yield self._signed(self.operator, *self._deployment(kind, f"con_{number:02}"))
        for person in self.people[1:]:
            funds = {"amount": 5_000_000, "to": person.public_key}
            yield self._signed(self.operator, "currency", "transfer", funds)
        for person in self.people[3:6]:
            yield self._signed(
                self.operator, "con_job_workflow", "add_worker", {"account": person.public_key}
            )

    def any(self) -> bytes:
        """A transaction of any kind."""
        (kind,) = self._random.choices(
            (self._job, self._currency, self._call, self._deploy, self._vote, self._nonsense),
            weights=(8, 4, 8, 2, 2, 1),
        )
        return self._signed(self._random.choice(self.people), *kind())

    def _signed(
        self, wallet: Wallet, contract: str, function: str, kwargs: dict[str, Any], chi: int = 0
    ) -> bytes:
        sender = wallet.public_key
        nonce = self._nonces.get(sender, self._app.nonce_storage.get_next_nonce(sender))
        self._nonces[sender] = nonce + 1
        unsigned = {"chain_id": self._app.chain_id, "contract": contract, "function": function}
        unsigned |= {"kwargs": kwargs, "nonce": nonce, "sender": sender}
        chi = chi or self._random.choice((20, 200, 500, *[20_000] * 7))
        prepared = prepare_transaction(create_tx(unsigned | {"chi_supplied": chi}, wallet))
        return bytes(prepared.submitted_bytes)

    def _job(self) -> tuple[Any, ...]:
        choice = self._random.choice
        queues = [name for name, kind in self.deployed.items() if kind == "jobs"]
        entries = [self._entry() for _ in range(choice((1, 1, 2, 5)))]
        if choice((True, False)):
            return choice(queues), "apply_items", {"batch": entries}
        entry = entries[0]
        action = entry.pop("action")
        wanted = {
            "submit": ("payload_uri",),
            "complete": ("result_uri", "attempt"),
            "fail": ("reason", "attempt"),
            "claim": ("lease_seconds",),
        }
        kept = {name: entry[name] for name in ("item_id", *wanted.get(action, ()))}
        return choice(queues), f"{action}_item", kept

    def _entry(self) -> dict[str, Any]:
        choice = self._random.choice
        return {
            "action": choice(ACTIONS),
            "item_id": choice((*(f"i{n}" for n in range(20)), "a:b", "é")),
            "payload_uri": choice(("p", "p", "p" * 300, "\0é")),
            "result_uri": choice(("r", "r", None)),
            "reason": "r",
            "attempt": choice((0, 0, 0, 0, 1, 2, "1")),
            "lease_seconds": choice((0, 5, 300, 300, -3)),
        }

    def _currency(self) -> tuple[Any, ...]:
        choice = self._random.choice
        amount = choice((1, 7, 10**15, -1, {"__fixed__": "0.3"}, "1"))
        to, owner = (choice(self.people).public_key for _ in range(2))
        return choice(
            (
                ("currency", "transfer", {"amount": amount, "to": to}),
                ("currency", "approve", {"amount": amount, "to": to}),
                ("currency", "transfer_from", {"amount": amount, "to": to, "main_account": owner}),
                ("currency", "balance_of", {"address": owner}),
                ("chi_cost", "current_value", {}),
                ("rewards", "current_value", {}),
                ("foundation", "current_owner", {"surprise": 1}),
            )
        )

    def _deploy(self) -> tuple[Any, ...]:
        kind = self._random.choice(list(SOURCES))
        return self._deployment(kind, f"con_{self._random.randrange(25):02}")

    def _deployment(self, kind: str, name: str) -> tuple[Any, ...]:
        choice = self._random.choice
        code = self.source(kind, name)
        self.deployed.setdefault(name, kind)
        arguments: dict[str, Any] = {"name": name, "code": code, "constructor_args": {}}
        if kind == "counter":
            arguments["constructor_args"] = choice(({}, {"start": 3}, {"start": -3}, {"x": 1}))
            arguments["owner"] = choice((None, None, *self.deployed))
        return "submission", "submit_contract", arguments, 1_000_000

    def source(self, kind: str, name: str) -> str:
        """A contract that calls none of a later name.

        Where contracts call each other without an end, the app stops at the end of its stack: that
        comes sooner or later with each process, and so do the receipts.
        """
        others = [other for other in self.deployed if other < name]
        return SOURCES[kind].replace("OTHER", self._random.choice([*others, "con_0", "currency"]))

    def _call(self) -> tuple[Any, ...]:
        choice = self._random.choice
        there = [*filter(self._app.client.raw_driver.has_contract, self.deployed)]
        name = choice([*there, "con_nowhere"])
        arguments = choice(({}, {"n": 1}, {"n": -2}))
        if self.deployed.get(name) == "reflecting":
            of_zk = [other for other in there if self.deployed[other] == "zk"]
            arguments = {"name": choice([choice(there), *of_zk])}
        return name, choice(("add", "add", "add", "seed")), arguments

    def _vote(self) -> tuple[Any, ...]:
        choice = self._random.choice
        member = choice(self.people).public_key
        return choice(
            (
                ("validators", "propose", {"member": member, "power": choice((0, 5, 10))}),
                ("validators", "vote", {"proposal_id": choice((1, 2, 3)), "in_favour": True}),
                ("validators", "set_validator", {"member": member, "power": 1}),
                ("validators", "get_validator", {"account": member}),
            )
        )

    def _nonsense(self) -> tuple[Any, ...]:
        choice = self._random.choice
        name = choice(("con_job_workflow", "submission", "nobody", "currency"))
        return (
            name,
            choice(("get_item", "submit_contract", "move", "assert_account")),
            {"name": "con_1"},
        )


def _validator_keys(network: Path) -> Iterator[str]:
    for host in sorted((network / "hosts").iterdir()):
        key = json.loads((host / "priv_validator_key.json").read_text())["priv_key"]["value"]
        yield b64decode(key)[:32].hex()


class Chain:
    """The app, and blocks that it finalizes and commits as CometBFT asks it to."""

    def __init__(self, app: Any, dice: random.Random) -> None:
        self._app = app
        self._dice = dice
        self._height = 0
        self._seconds = 1_772_000_000

    async def block(self, transactions: list[bytes]) -> dict[str, Any]:
        """What a validator signs of the block, and which keys it read."""
        self._height += 1
        self._seconds += self._dice.choice((1, 1, 5, 60, 300))
        request = RequestFinalizeBlock(
            txs=transactions, height=self._height, hash=self._height.to_bytes(32)
        )
        request.time.seconds = self._seconds
        answer = await self._app.finalize_block(request)
        staged = self._app._pending_commit_driver_state
        await self._app.commit()
        return {
            "height": self._height,
            "app_hash": answer.app_hash.hex(),
            "validators": [str(update) for update in answer.validator_updates],
            "results": [
                [result.code, result.data.decode(), _digest(result.SerializeToString())]
                for result in answer.tx_results
            ],
            "read": _digest("\n".join(sorted(staged["pending_reads"])).encode()),
        }

    def intervene(self, traffic: Traffic) -> str:
        """Do, now and then, what comes between blocks on every node at once; say what."""
        driver = self._app.client.raw_driver
        match self._dice.randrange(8):
            case 0:
                enabled = self._dice.choice((True, False))
                driver.set(ZK, enabled)
                return f"zk {enabled}"
            case 1 | 2:  # as a state patch does
                name = self._dice.choice([*traffic.deployed])
                if not driver.has_contract(name):
                    return ""
                kind = self._dice.choice(("counter", "static", "zk", "odd", "jobs", "decimals"))
                if name == "con_job_workflow":
                    kind = "jobs"
                source = traffic.source(kind, name).replace(
                    '"invalid"', f'"invalid {self._height}"'
                )
                artifacts = compile_contract_source(
                    module_name=name, source=source, lint=True, vm_profile="xian_vm_v1"
                )
                driver.set_contract(
                    name,
                    source=artifacts["source"],
                    vm_ir_json=artifacts["vm_ir_json"],
                    overwrite=True,
                    timestamp=0,
                )
                traffic.deployed[name] = kind
                return f"patch {name} {kind}"
            case 3:  # as a start does
                driver.cache.clear()
                clear_prepared_contract_cache()
                return "start"
        return ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def run(network: Path, seed: str, transactions: int) -> None:
    """Print block after block until there were so many transactions."""
    app = await Xian.create()
    genesis = (await app.init_chain(None)).app_hash.hex()
    print(json.dumps({"height": 0, "app_hash": genesis}))
    traffic = Traffic(app, network, seed)
    dice = random.Random(f"{seed} blocks")  # noqa: S311
    chain = Chain(app, dice)
    print(json.dumps(await chain.block(list(traffic.opening()))))
    while transactions > 0:
        traffic.begin_block()
        between = chain.intervene(traffic)
        count = min(transactions, dice.randrange(30))
        transactions -= count
        block = await chain.block([traffic.any() for _ in range(count)])
        print(json.dumps({"between": between, **block}))


def main() -> None:
    network, seed, transactions, *cache = sys.argv[1:]
    logger.remove()  # the app tells of every refusal
    if cache:
        ir_cache._parsed = LRUCache(int(cache[0]), ir_cache._parsed.getsizeof)
        ir_cache._decoded = LRUCache(int(cache[0]), ir_cache._decoded.getsizeof)
        ir_cache.install()
    asyncio.run(run(Path(network), seed, int(transactions)))
    for text, ir in ir_cache._parsed.items():
        assert ir == json.loads(text), "what all transactions share was changed"


if __name__ == "__main__":
    main()
