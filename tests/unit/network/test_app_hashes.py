"""Nodes confirm an app hash by the ids of network.json, and one that contradicts is named."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.app_hashes import AppHashQuestion, agree
from workflow_backend.operations.network.endpoints import NodeAddress

from ..operations.snapshots import samples

type Serve = Callable[..., str]


class Node(BaseHTTPRequestHandler):
    """An RPC that knows one app hash."""

    node_id: str
    chain_id: str
    app_hash: str
    height: int

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"], **self._answer(request)})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["method"]:
            case "status":
                info = {"id": node_id(self.node_id), "network": self.chain_id}
                sync = {
                    "earliest_block_height": "1",
                    "latest_block_height": str(self.height),
                    "latest_block_time": "2026-01-01T00:00:00Z",
                    "latest_app_hash": "",
                    "catching_up": False,
                }
                me = {"address": "A" * 40}
                return {"result": {"node_info": info, "sync_info": sync, "validator_info": me}}
            case "header":
                if self.app_hash == "pruned":
                    return {"error": {"message": "Internal error", "data": "not available"}}
                return {"result": {"header": {"app_hash": self.app_hash.upper()}}}
            case "block_results":
                value = b64encode(bytes.fromhex(self.app_hash)).decode()
                return {"result": {"app_hash": value, "txs_results": None}}
        raise AssertionError(request)

    def log_message(self, *_: object) -> None:
        pass


def node_id(name: str) -> str:
    return name.encode().hex().ljust(40, "0")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a node for the test; returns its address."""
    servers = []

    def start(
        node_id: str,
        app_hash: str = samples.APP_HASH,
        chain_id: str = samples.CHAIN,
        height: int = samples.HEIGHT + 1,
    ) -> str:
        fields = {"node_id": node_id, "app_hash": app_hash, "chain_id": chain_id, "height": height}
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Node", (Node,), fields))
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(
    urls: dict[str, str], count: int, app_hash: str | None = samples.APP_HASH
) -> dict[str, Any]:
    request = AppHashQuestion(
        chain_id=samples.CHAIN,
        height=samples.HEIGHT,
        app_hash=app_hash,
        nodes={host: NodeAddress(url=url, public_key="") for host, url in urls.items()},
        node_ids={host: node_id(host) for host in ("one", "two", "three")},
        agree=count,
    )
    return agree(request, check=False)


def test_nodes_with_the_ids_of_network_json_confirm(serve: Serve) -> None:
    assert ask({}, 0)["peers"] == []
    answer = ask({"one": serve("one"), "two": f"{serve('two')}/"}, 2, app_hash=None)
    assert answer["app_hash"] == samples.APP_HASH
    assert [claim["host"] for claim in answer["peers"]] == ["one", "two"]


def test_node_with_another_id_is_left_out_and_named(serve: Serve) -> None:
    urls = {"one": serve("one"), "two": serve("one"), "three": serve("new")}
    assert ask(urls, 1)["app_hash"] == samples.APP_HASH
    with pytest.raises(RecoveryRefused, match="1 nodes confirm the app hash") as refused:
        ask(urls, 2)
    for host, claimed in (("two", "one"), ("three", "new")):
        reason = f"{host}: its node id is {node_id(claimed)}, network.json gives it {node_id(host)}"
        assert reason in str(refused.value)


def test_node_that_contradicts_is_named(serve: Serve) -> None:
    urls = {"one": serve("one"), "two": serve("two"), "three": serve("three", "00" * 32)}
    for app_hash in (samples.APP_HASH, None):
        with pytest.raises(RecoveryRefused, match=r"three has the app hash 0000.* after block 12"):
            ask(urls, 0, app_hash)


def test_node_that_can_not_tell_does_not_count(serve: Serve) -> None:
    urls = {
        "one": serve("one", "pruned"),
        "two": serve("two", height=samples.HEIGHT - 1),
        "three": "http://127.0.0.1:1",
    }
    ask(urls, 0)
    with pytest.raises(RecoveryRefused, match="0 nodes confirm") as refused:
        ask(urls, 1)
    reasons = refused.value.explain()
    assert "not available" in reasons
    assert "it is at height 11" in reasons
    assert "no connection" in reasons


def test_app_hash_after_the_newest_block_is_in_its_results(serve: Serve) -> None:
    def at_the_top(name: str, app_hash: str = samples.APP_HASH) -> str:
        return serve(name, app_hash, height=samples.HEIGHT)

    ask({"one": at_the_top("one"), "two": at_the_top("two")}, 2)
    with pytest.raises(RecoveryRefused, match="two has the app hash 0000"):
        ask({"one": at_the_top("one"), "two": at_the_top("two", "00" * 32)}, 1)


def test_node_of_another_chain_is_left_out_and_named(serve: Serve) -> None:
    urls = {"one": serve("one"), "two": serve("two", chain_id="elsewhere-1")}
    ask(urls, 1)
    with pytest.raises(RecoveryRefused, match="two: it is on chain 'elsewhere-1', not 'unit-1'"):
        ask(urls, 2)


def test_host_without_a_login_is_named() -> None:
    request = AppHashQuestion(
        chain_id=samples.CHAIN,
        height=samples.HEIGHT,
        nodes={"one": NodeAddress(url="http://127.0.0.1:1", ssh="false one", public_key="")},
        node_ids={"one": node_id("one")},
        agree=1,
    )
    with pytest.raises(RecoveryRefused, match="one: no login to one"):
        agree(request, check=False)
