"""Units of systemd: quoting, the sandbox and the network of a program."""

from typing import Any

import pytest
from tests.unit.modules.loading import filters

systemd_units = filters("systemd_units")["systemd_units"]
systemd_sandbox = filters("systemd_units")["systemd_sandbox"]

PROGRAM: dict[str, Any] = {
    "name": "one",
    "description": "One",
    "command": ["/bin/one"],
    "account": "me",
    "writable": ["/var/lib/one"],
    "directory": "/var/lib/one",
}


def lines(**given: Any) -> list[str]:
    (unit,) = systemd_units([PROGRAM | given], "/etc/credentials").values()
    return str(unit).splitlines()


def test_unit_is_named_for_its_program() -> None:
    assert list(systemd_units([PROGRAM], "/c")) == ["workflow-backend-one.service"]


def test_command_is_quoted_as_systemd_reads_it() -> None:
    unit = lines(command=["/bin/one", 'a "b" \\', "100 % of $HOME\n"])
    assert r'ExecStart="/bin/one" "a \"b\" \\" "100 %% of $$HOME\n"' in unit


def test_environment_is_sorted_and_keeps_dollar_signs() -> None:
    unit = lines(environment={"b": "$x", "A": "50 %"})
    assert [line for line in unit if line.startswith("Environment=")] == [
        'Environment="A=50 %%"',
        'Environment="b=$x"',
        'Environment="WORKFLOW_REVISION=@REVISION@"',
    ]


def test_credentials_are_loaded_by_name_and_not_written() -> None:
    unit = lines(credentials={"key": "hush"})
    assert "LoadCredential=key:/etc/credentials/one/key" in unit
    assert "hush" not in "\n".join(unit)


@pytest.mark.parametrize(
    ("network", "own", "denied", "allowed"),
    [
        (None, True, True, False),
        ("none", True, True, False),
        ("local", False, True, True),
        ("any", False, False, False),
        ("peers", False, False, False),
    ],
)
def test_network_is_what_the_program_names(
    network: str | None, own: bool, denied: bool, allowed: bool
) -> None:
    unit = lines(**({"network": network} if network else {}))
    assert ("PrivateNetwork=yes" in unit) is own
    assert ("IPAddressDeny=any" in unit) is denied
    assert ("IPAddressAllow=localhost" in unit) is allowed
    (families,) = [line for line in unit if line.startswith("RestrictAddressFamilies=")]
    assert ("AF_INET" in families) is not own
    assert ("AF_NETLINK" in families) is (network == "peers")


def test_network_that_is_none_of_them_is_refused() -> None:
    with pytest.raises(KeyError):
        lines(network="anyy")


@pytest.mark.parametrize("knows", [True, False])
def test_sandbox_hides_accounts_unless_the_program_tells_them_apart(knows: bool) -> None:
    unit = lines(knows_accounts=knows)
    assert ("PrivateUsers=yes" in unit) is not knows
    assert {"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict"} <= set(unit)


def test_program_starts_after_those_that_it_names() -> None:
    unit = lines(after=["postgres", "abci"])
    before = "workflow-backend-postgres.service workflow-backend-abci.service"
    assert {f"Wants={before}", f"After={before}"} <= set(unit)


def test_program_that_is_no_unit_has_the_same_sandbox() -> None:
    confined = systemd_sandbox(PROGRAM)
    assert set(confined) < set(lines())
    assert "" not in confined
    assert "ReadWritePaths=/var/lib/one" in confined
    assert "NoNewPrivileges=yes" in confined


def test_program_may_name_further_system_calls() -> None:
    filtered = [
        line
        for line in systemd_sandbox(PROGRAM | {"system_calls": ["capset"]})
        if line.startswith("SystemCallFilter=")
    ]
    assert filtered[-2:] == ["SystemCallFilter=~@privileged @resources", "SystemCallFilter=capset"]
