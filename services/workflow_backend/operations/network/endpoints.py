"""Where each node of a network is reached from the control machine."""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ...errors import WorkflowError
from ..requests import Request
from ..tunnel import tunnel


class NodeAddress(Request):
    """How to reach a node: its RPC as its own host sees it, and the SSH command to log in there.

    Without an SSH command the node is on this machine. The validator's public key identifies a node
    that does not answer.
    """

    url: str
    ssh: str = ""
    public_key: str = Field("", pattern="^([0-9a-fA-F]{64})?$")

    @field_validator("url")
    @classmethod
    def _require_no_credentials(cls, url: str) -> str:
        return require_no_credentials(url)

    @property
    def validator(self) -> str:
        """The validator's address, empty where its key is unknown."""
        return validator_address(self.public_key) if self.public_key else ""


def validator_address(public_key: str) -> str:
    """Return the address of a validator's public key, which is given in hex."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:40].upper()


def require_no_credentials(url: str) -> str:
    """Return a node's URL; raises ValueError where it holds a user or a password.

    No node asks for one, and a URL is part of messages and reports.
    """
    try:
        has_credentials = "@" in urlsplit(url).netloc
    except ValueError:
        raise ValueError("it is not a URL") from None
    if has_credentials:
        raise ValueError("give http://HOST:PORT, a node's URL holds no user and no password")
    return url


@dataclass(frozen=True, slots=True)
class NodeEndpoint:
    """Where a node is reached from here; `problem` says why it is not."""

    url: str
    validator: str
    problem: str = ""


type Endpoints = dict[str, NodeEndpoint]


@contextmanager
def open_endpoints(nodes: Mapping[str, NodeAddress]) -> Iterator[Endpoints]:
    """Open a tunnel to each node that needs one, side by side; they close with the block."""
    with ExitStack() as tunnels, ThreadPoolExecutor(max(len(nodes), 1)) as pool:

        def connect(node: NodeAddress) -> NodeEndpoint:
            if not node.ssh:
                return NodeEndpoint(node.url, node.validator)
            try:
                url = tunnels.enter_context(tunnel(shlex.split(node.ssh), node.url))
            except WorkflowError as error:
                return NodeEndpoint("", node.validator, str(error))
            return NodeEndpoint(url, node.validator)

        yield dict(zip(nodes, pool.map(connect, nodes.values()), strict=True))
