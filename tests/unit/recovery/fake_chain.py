"""A chain as its nodes tell it: who signed which block, and one more for each transaction."""

import hashlib
import json
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CHAIN = "unit-1"
KEYS = {name: (str(number) * 64) for number, name in enumerate("abcde", 1)}
VALIDATORS = "abcd"


def address(key: str) -> str:
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:40].upper()


@dataclass
class Chain:
    """`signers` sign each new block; `on_demand` ones are made by transactions alone.

    Nodes that are `behind` say that they are catching up. What `lies` has of a host and a method
    takes the place of what is true there.
    """

    height: int = 10
    base: int = 1
    chain_id: str = CHAIN
    signers: set[str] = field(default_factory=lambda: set(VALIDATORS))
    powers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VALIDATORS, 10))
    on_demand: bool = True
    refuses: str = ""
    hashes: dict[int, str] = field(default_factory=dict)
    signed: dict[int, set[str]] = field(default_factory=dict)
    nudges: int = 0
    behind: set[str] = field(default_factory=set)
    lies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for height in range(1, self.height + 1):
            self.signed[height] = set(self.signers)

    def grow(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.height += 1
            self.signed[self.height] = set(self.signers)

    def answer(self, host: str, method: str, params: dict[str, Any]) -> Any:
        true = self.truth(host, method, params)
        return mixed(true, self.lies.get(host, {}).get(method, {}))

    def _headers(self, first: int, last: int) -> dict[str, Any]:
        metas = [
            {
                "block_id": {"hash": self.hashes.get(height, f"{height:064X}")},
                "num_txs": "0",
                "header": {
                    "chain_id": self.chain_id,
                    "height": str(height),
                    "time": "2026-01-01T00:00:00Z",
                    "data_hash": "",
                },
            }
            for height in range(min(last, self.height), max(first, self.base) - 1, -1)
        ]
        return {"last_height": str(self.height), "block_metas": metas}

    def truth(  # noqa: PLR0911 - one for each method
        self, host: str, method: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        match method:
            case "status":
                if not self.on_demand:
                    self.grow()
                return {
                    "node_info": {"id": host * 40, "network": self.chain_id},
                    "validator_info": {"address": address(KEYS[host])},
                    "sync_info": {
                        "earliest_block_height": str(self.base),
                        "latest_block_height": str(self.height),
                        "latest_block_time": "2026-01-01T00:00:00Z",
                        "latest_app_hash": f"{self.height - 1:064X}",
                        "catching_up": host in self.behind,
                    },
                }
            case "validators":
                found = [
                    {
                        "address": address(KEYS[name]),
                        "pub_key": {"value": b64encode(bytes.fromhex(KEYS[name])).decode()},
                        "voting_power": str(power),
                    }
                    for name, power in self.powers.items()
                ]
                return {"validators": found, "total": str(len(found))}
            case "commit":
                height = int(params.get("height", self.height))
                return {
                    "signed_header": {
                        "header": {"app_hash": f"{height - 1:064x}".upper()},
                        "commit": {
                            "block_id": {"hash": self.hashes.get(height, f"{height:064X}")},
                            "signatures": [
                                {"block_id_flag": 2, "validator_address": address(KEYS[name])}
                                if name in self.signed[height]
                                else {"block_id_flag": 1, "validator_address": ""}
                                for name in self.powers
                            ],
                        },
                    }
                }
            case "num_unconfirmed_txs":
                return {"n_txs": "0"}
            case "broadcast_tx_sync":
                self.nudges += 1
                if not self.refuses:
                    self.grow()
                return {"code": 1 if self.refuses else 0, "log": self.refuses}
            case "blockchain":
                return self._headers(int(params["minHeight"]), int(params["maxHeight"]))
            case "header":
                return {"header": {"app_hash": f"{int(params['height']) - 1:064X}"}}
        raise AssertionError(method)


def mixed(true: Any, lie: Any) -> Any:
    """What a lie leaves of the truth."""
    if not isinstance(true, dict) or not isinstance(lie, dict):
        return lie
    return true | {key: mixed(true.get(key), value) for key, value in lie.items()}


class Served:
    """The RPC of one host of a chain."""

    def __init__(self, chain: Chain, host: str) -> None:
        def reply(call: dict[str, Any]) -> dict[str, Any]:
            height = int(call["params"].get("height", chain.height))
            if call["method"] == "commit" and height < chain.base:
                why = f"height {height} is not available, lowest height is {chain.base}"
                return {"error": {"code": -32603, "message": "Internal error", "data": why}}
            return {"result": chain.answer(host, call["method"], call["params"])}

        class Node(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                calls = asked if isinstance(asked, list) else [asked]
                answers = [{"jsonrpc": "2.0", "id": call["id"]} | reply(call) for call in calls]
                sent = answers if isinstance(asked, list) else answers[0]
                with suppress(OSError):  # who asked does not always wait
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(json.dumps(sent).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
