"""Databases elsewhere: reached over TLS that is verified, or the deployment does not begin."""

import re

import pytest

from .inventories import CATALOGUE, ROLES, host, preflight, problem

NAMES = ("workflow_services_projection_dsn", "xian_node_index_dsn")
USER = "postgresql://u:9b8a9c5577e1d2c5@"
VERIFIED = "sslmode=verify-full&sslrootcert=/ca.pem"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "dsn",
    [
        f"{USER}db.example/x",
        f"{USER}db.example:5432/x?sslmode=require",
        f"{USER}db.example/x?sslmode=verify-ca&sslrootcert=/ca.pem",
        f"{USER}192.0.2.7/x?sslrootcert=/ca.pem",
        f"{USER}[2001:db8::7]:5432/x?application_name=sslmode%3Dverify-full",
        f"{USER}localhost,db.example/x",
        f"{USER}db.example/x?{VERIFIED}&sslmode=prefer",
        "postgres:///x?host=db.example&user=u",
    ],
)
def test_server_that_nobody_verifies(name: str, dsn: str) -> None:
    what = problem(preflight(host(**{name: dsn})), "databases")
    assert what == f"{name} leads to another machine and does not verify it"


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        f"{USER}db.example:5432/x?{VERIFIED}",
        f"{USER}one.example,two.example/x?application_name=a&{VERIFIED}",
        f"postgresql:///x?host=db.example&{VERIFIED}",
        "postgresql:///x?host=/run/postgresql&user=u",
        "postgresql://%2Frun%2Fpostgresql/x?user=u",
        "postgresql:///x",
        f"{USER}localhost:5432/x",
        f"{USER}127.0.0.2/x",
        f"{USER}[::1]:5432/x?sslmode=disable",
    ],
)
def test_server_that_is_verified_or_on_this_machine(dsn: str) -> None:
    assert preflight(host(workflow_services_projection_dsn=dsn)) == []


def test_authorities_that_are_not_named() -> None:
    dsn = f"{USER}db.example/x?sslmode=verify-full"
    [finding] = preflight(host(workflow_services_projection_dsn=dsn))
    assert "names no authorities" in finding.what
    for part in ("/etc/workflow-backend/projection-ca.pem", "workflow_services_projection_ca"):
        assert part in finding.hint


@pytest.mark.parametrize("dsn", ["host=db.example user=u", "mysql://db.example/x", "//[db/x", "db"])
def test_dsn_that_is_no_postgresql_address_is_found(dsn: str) -> None:
    what = problem(preflight(host(xian_node_index_dsn=dsn)), "databases")
    assert what == "xian_node_index_dsn is not a PostgreSQL address"


@pytest.mark.parametrize("name", NAMES)
def test_hint_names_what_the_roles_have(name: str) -> None:
    [finding] = preflight(host(**{name: f"{USER}db.example/x"}))
    variable = f"{name.removesuffix('_dsn')}_ca"
    assert variable in finding.hint
    assert variable in CATALOGUE.options
    [file] = re.findall(r"sslrootcert=(\S+)", finding.hint)
    specs = [path.read_text() for path in ROLES.glob("*/meta/argument_specs.yml")]
    assert any(file in spec for spec in specs)


NO_DATABASE = ["xian_node", "workflow_services"]


def test_index_needs_a_database() -> None:
    lacks = "its node keeps an index, and there is no PostgreSQL for it"
    assert problem(preflight(host(groups=["xian_node"])), "databases") == lacks
    assert (
        problem(preflight(host(groups=["xian_node"], xian_node_index="yes")), "databases") == lacks
    )
    assert preflight(host(groups=["xian_node"], xian_node_index="false")) == []
    dsn = f"{USER}db.example/x?{VERIFIED}"
    assert preflight(host(groups=NO_DATABASE, xian_node_index_dsn=dsn)) == []
    lost = preflight(host(groups=["xian_node"], lost=["xian_node_index"], xian_node_index=""))
    assert problem(lost, "variables") == "can't be evaluated: xian_node_index"


def test_services_need_an_index() -> None:
    lacks = "its services read an index, and its node keeps none"
    assert problem(preflight(host(xian_node_index=False)), "databases") == lacks
    assert preflight(host(xian_node_index=False, workflow_services_names=["handlers"])) == []
    elsewhere = {"workflow_services_node_url": "http://192.0.2.9:26657"}
    assert preflight(host(xian_node_index=False, **elsewhere)) == []
