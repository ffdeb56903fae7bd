"""What peers say is counted by node id, and one that contradicts stops everything."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import peers
from workflow_backend.operations.snapshots.peers import Agree, ask_peers, require_agreement
from workflow_backend.operations.upgrades.nodes import Way

from . import made

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
                node_id = self.node_id.encode().hex().ljust(40, "0")
                info = {"id": node_id, "network": self.chain_id}
                sync = {
                    "earliest_block_height": "1",
                    "latest_block_height": str(self.height),
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


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a node for the test; returns its address."""
    servers = []

    def start(
        node_id: str,
        app_hash: str = made.APP_HASH,
        chain_id: str = made.CHAIN,
        height: int = made.HEIGHT + 1,
    ) -> str:
        told = {"node_id": node_id, "app_hash": app_hash, "chain_id": chain_id, "height": height}
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Node", (Node,), told))
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def agree(urls: list[str], wanted: int) -> None:
    said = ask_peers(urls, made.CHAIN, made.HEIGHT)
    require_agreement(made.HEIGHT, made.APP_HASH, said, wanted)


def test_those_with_ids_of_their_own_are_counted(serve: Serve) -> None:
    one, two = serve("one"), serve("two")
    agree([one, f"{two}/"], 2)
    agree([], 0)
    with pytest.raises(RecoveryRefused, match="1 peers with node ids of their own"):
        agree([one, one, serve("one")], 2)


def test_one_that_contradicts_stops_it(serve: Serve) -> None:
    urls = [serve("one"), serve("two"), serve("three", "00" * 32)]
    with pytest.raises(RecoveryRefused, match=r"has the app hash 0000.* behind block 12"):
        agree(urls, 0)


def test_one_that_can_not_tell_does_not_count(serve: Serve) -> None:
    gone = "http://127.0.0.1:1"
    urls = [serve("one", "pruned"), serve("two", height=made.HEIGHT - 1), gone]
    agree(urls, 0)
    with pytest.raises(RecoveryRefused) as raised:
        agree(urls, 1)
    said = raised.value.explain()
    assert "0 peers" in said
    assert "not available" in said
    assert "it is at height 11" in said
    assert "no connection" in said


def test_what_is_behind_the_newest_block_is_in_its_results(serve: Serve) -> None:
    agree([serve("one", height=made.HEIGHT), serve("two", height=made.HEIGHT)], 2)
    with pytest.raises(RecoveryRefused, match="has the app hash 0000"):
        agree([serve("one", height=made.HEIGHT), serve("two", "00" * 32, height=made.HEIGHT)], 1)


def test_one_of_another_chain_is_an_error(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="on chain 'elsewhere-1', not 'unit-1'"):
        agree([serve("one", chain_id="elsewhere-1")], 0)


class TestAgree:
    """The nodes of an inventory, by their hosts."""

    def agree(self, urls: dict[str, str], app_hash: str | None, wanted: int) -> dict[str, Any]:
        nodes = {host: Way(url=url, public_key="") for host, url in urls.items()}
        request = Agree(
            chain_id=made.CHAIN, height=made.HEIGHT, app_hash=app_hash, nodes=nodes, agree=wanted
        )
        return peers.agree(request, check=False)

    def test_hosts_are_named_and_the_first_tells_the_hash(self, serve: Serve) -> None:
        told = self.agree({"alpha": serve("one"), "beta": serve("two")}, None, 2)
        assert told["app_hash"] == made.APP_HASH
        assert [peer["url"] for peer in told["peers"]] == ["alpha", "beta"]

    def test_one_that_contradicts_is_named_by_its_host(self, serve: Serve) -> None:
        with pytest.raises(RecoveryRefused, match="the peer at beta has the app hash 0000"):
            self.agree({"alpha": serve("one"), "beta": serve("two", "00" * 32)}, None, 0)
        with pytest.raises(RecoveryRefused, match="the peer at beta has the app hash 0000"):
            self.agree({"beta": serve("two", "00" * 32)}, made.APP_HASH, 0)

    def test_no_way_to_a_host_is_told(self) -> None:
        nodes = {"alpha": Way(url="http://127.0.0.1:1", ssh="false alpha", public_key="")}
        request = Agree(chain_id=made.CHAIN, height=made.HEIGHT, nodes=nodes, agree=1)
        with pytest.raises(RecoveryRefused, match="alpha: no login to alpha"):
            peers.agree(request, check=False)
