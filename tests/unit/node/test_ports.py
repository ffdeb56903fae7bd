"""A port that somebody else listens on is named, with who it is; one's own is no trouble."""

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from workflow_backend_node.ports import refuse_ports_in_use
from workflow_backend_node.requests import Refused


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104 - to see that it is in the way
def listener(request: pytest.FixtureRequest) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((request.param, 0))
        server.listen()
        yield server.getsockname()[1]


def test_anothers_port_is_refused_with_its_process(listener: int) -> None:
    with pytest.raises(
        Refused, match=rf"127\.0\.0\.1:{listener} .* process {os.getpid()} .*rpc_address"
    ):
        refuse_ports_in_use({"rpc_address": f"127.0.0.1:{listener}"}, "/srv/node/.cometbft")


def test_our_own_port_is_no_trouble(listener: int) -> None:
    refuse_ports_in_use({"rpc_address": f"127.0.0.1:{listener}"}, sys.argv[0])


def test_free_port_is_no_trouble() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    refuse_ports_in_use({"rpc_address": f"127.0.0.1:{free}"}, "")
