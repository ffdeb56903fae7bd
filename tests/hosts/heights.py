"""Heights of chain, index and projection on the hosts of a network, which have to agree."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Collection
from typing import Any

from .network import Network

_NODE = "http://127.0.0.1:26657/status"
_API = "http://127.0.0.1:8000/health"
_ASK = """
import json, sys, urllib.request
print(json.dumps([json.load(urllib.request.urlopen(url, timeout=10)) for url in sys.argv[1:]]))
"""


def agreed(network: Network, serving: Collection[str], timeout: float = 300) -> int:
    """Wait until all hosts are level, and return the height.

    Every node has that height and one app hash; on hosts that serve, index and projection have it
    as well.
    """
    deadline = time.monotonic() + timeout
    while True:
        seen = {host.name: _look(network, host.name, host.name in serving) for host in network}
        heights = {height for each in seen.values() for height in each["heights"].values()}
        hashes = {each["app_hash"] for each in seen.values()}
        if len(heights) == len(hashes) == 1:
            return int(heights.pop())
        assert time.monotonic() < deadline, f"not level: {seen}"
        time.sleep(0.3)


def _look(network: Network, name: str, serves: bool) -> dict[str, Any]:
    urls = [_NODE, _API] if serves else [_NODE]
    status, *health = json.loads(
        network[name].output(f"python3 -c {shlex.quote(_ASK)} {' '.join(urls)}")
    )
    node = status["result"]["sync_info"]
    heights = {"chain": int(node["latest_block_height"])}
    for row in health:
        heights |= {"index": row["indexed_height"], "projection": row["projected_height"]}
    return {"app_hash": node["latest_app_hash"], "heights": heights}
