"""How many connections are let in."""

import resource
from ipaddress import ip_network

import pytest

from workflow_backend.api import connections
from workflow_backend.api.connections import Connections, client_of, raise_file_limit


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 2)


def test_connections_are_counted_by_address_and_in_all() -> None:
    counted = Connections(4)
    first = [counted.admit(address) for address in ("10.0.0.1", "10.0.0.1", "10.0.0.1")]
    assert first == [None, None, 429]
    assert [counted.admit(f"10.0.0.{last}") for last in (2, 3, 4)] == [None, None, 503]
    counted.release("10.0.0.1")
    assert [counted.admit("10.0.0.1"), counted.admit("10.0.0.1")] == [None, 503]


def test_connections_of_a_proxy_count_in_all_only() -> None:
    counted = Connections(4, [ip_network("192.0.2.0/24"), ip_network("::1")])
    assert [counted.admit("192.0.2.9") for _ in range(5)] == [None] * 4 + [503]


def test_connections_of_an_ipv6_network_are_one_clients() -> None:
    counted = Connections(9)
    addresses = ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1")
    assert [counted.admit(address) for address in addresses] == [None, None, 429, None]
    assert client_of("::ffff:192.0.2.1") == client_of("192.0.2.1")


def test_file_limit_is_raised_as_far_as_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    limits_set: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: limits_set.append(limits))
    for limits, expected in (((1024, 524_288), 2304), ((1024, 2000), 2000), ((8192, 8192), 2304)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert raise_file_limit() == expected
    assert limits_set == [(2304, 524_288), (2000, 2000)]
