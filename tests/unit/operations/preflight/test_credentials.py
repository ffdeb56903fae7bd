"""Credentials: none that can be guessed, and none for two things."""

from hashlib import sha256

import pytest

from workflow_backend.operations.preflight.credentials import password_of, weakness

from .inventories import host, key, preflight, problem, warning

LONG = "9b8a9c5577e1d2c5"


def dsn(password: str, where: str = "db.example") -> str:
    """A DSN with a password."""
    return f"postgresql://jobs:{password}@{where}/jobs?sslmode=verify-full&sslrootcert=/ca.pem"


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("postgresql://u:p%40ss@h/d", "p@ss"),
        ("postgresql://u@h/d?password=pw", "pw"),
        ("host=h user=u password=pw dbname=d", "pw"),
        ("host=h password='p w'", "p w"),
        ("postgresql:///d?host=/run/x&user=u", None),
        ("postgresql://u@h/d", None),
        ("host=h", None),
        ("postgresql://[h/d", None),
    ],
)
def test_password_of_a_dsn(dsn: str, password: str | None) -> None:
    assert password_of(dsn) == password


@pytest.mark.parametrize(
    "password",
    ["postgres", "Postgres2024!", "change-me", "change me please", "CHANGEME123456789", "xian",
     "my-secret-password", "short7Kq", "123456789012345", "aaaaaaaaaaaaaaaaaaaa",
     "abababababababab", "<your-password>", "jobsjobs_owner"],
)  # fmt: skip
def test_password_that_can_be_guessed_is_weak(password: str) -> None:
    assert weakness(password, ("jobsjobs_owner", "jobs"))


@pytest.mark.parametrize("password", [LONG, "correct horse battery staple", "Tr0ub4dor&3xyz"])
def test_password_that_is_random_is_not_weak(password: str) -> None:
    assert weakness(password, ("owner", "jobs")) == ""


def test_weak_password_in_a_dsn_is_found() -> None:
    findings = preflight(host(workflow_services_projection_dsn=dsn("jobs")))
    assert problem(findings, "passwords").startswith("the password in workflow_services_proj")
    assert preflight(host(workflow_services_projection_dsn=dsn(LONG))) == []


def test_weak_token_is_found() -> None:
    tokens = {"ops": {"scopes": ["read"], "sha256": sha256(b"letmein").hexdigest()}}
    findings = preflight(
        host(workflow_services_operator_token="letmein", workflow_services_tokens=tokens)
    )
    assert problem(findings, "passwords") == "workflow_services_operator_token is a well-known word"


def test_key_that_is_not_random_is_found() -> None:
    keys = {"processor": "ab" * 32, "api": key("api")}
    findings = preflight(host(workflow_services_keys=keys))
    assert problem(findings, "passwords") == "workflow_services_keys.processor is not a random key"


def test_password_of_two_databases_is_found() -> None:
    both = host(
        workflow_services_projection_dsn=dsn(LONG), xian_node_index_dsn=dsn(LONG, "other.example")
    )
    what = problem(preflight(both), "passwords")
    assert what == "workflow_services_projection_dsn and xian_node_index_dsn are the same secret"


def test_password_of_a_database_on_each_host_is_a_warning() -> None:
    name = "xian_node_index_dsn"
    hosts = [host(n, **{name: dsn(LONG, f"{n}.example")}) for n in ("one", "four")]
    assert "for several accounts" in warning(preflight(*hosts), "passwords")


def test_password_of_one_database_for_several_hosts_is_no_finding() -> None:
    name = "workflow_services_projection_dsn"
    assert preflight(host("one", **{name: dsn(LONG)}), host("four", **{name: dsn(LONG)})) == []
