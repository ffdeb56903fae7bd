"""Exposure: an API that others reach asks for tokens and speaks TLS."""

from hashlib import sha256
from typing import Any

import pytest

from .inventories import host, preflight, problem

LONG = "9b8a9c5577e1d2c5"
TOKEN = "xwb_" + LONG * 2


@pytest.mark.parametrize(
    ("other", "check", "message"),
    [
        ({}, "exposure", "without TLS"),
        ({"workflow_services_api_certificate": "c.pem", "workflow_services_tokens": {},
          "workflow_services_operator_token": ""},
         "exposure", "health, smoke and status have none"),
        ({"workflow_services_api_certificate": "c.pem", "workflow_services_tokens": {},
          "workflow_services_operator_token": "", "program_manager": "supervisor"},
         "exposure", "asks nobody for a token"),
        ({"workflow_services_api_certificate": "c.pem", "workflow_services_tokens": {}}, "", ""),
        ({"workflow_services_api_certificate": "c.pem"}, "", ""),
    ],
)  # fmt: skip
def test_api_that_others_reach_needs_tokens_and_tls(
    other: dict[str, Any], check: str, message: str
) -> None:
    base = {
        "workflow_services_api_host": "192.0.2.1",
        "workflow_services_operator_token": TOKEN,
        "workflow_services_api_key": "-----BEGIN PRIVATE KEY-----",
        "workflow_services_tokens": {
            "ops": {"scopes": ["read"], "sha256": sha256(TOKEN.encode()).hexdigest()}
        },
    }
    findings = preflight(host(**(base | other)))
    if check:
        assert message in problem(findings, check)
    else:
        assert findings == []


def test_token_that_can_not_be_evaluated_is_no_open_api() -> None:
    given = {
        "workflow_services_api_host": "192.0.2.1",
        "workflow_services_api_certificate": "c.pem",
        "workflow_services_api_key": "-----BEGIN PRIVATE KEY-----",
    }
    for name in ("workflow_services_operator_token", "workflow_services_tokens"):
        what = problem(preflight(host(lost=[name], **given, **{name: ""})), "variables")
        assert what == f"can't be evaluated: {name}"


def test_certificate_needs_its_key() -> None:
    given = {"workflow_services_api_certificate": "c.pem"}
    assert "no key" in problem(preflight(host(**given)), "exposure")
    lost = preflight(host(lost=["workflow_services_api_key"], **given))
    assert problem(lost, "variables") == "can't be evaluated: workflow_services_api_key"


def test_api_of_a_remote_host_needs_the_operators_token() -> None:
    assert preflight(host()) == []  # left out: one is made
    findings = preflight(host(workflow_services_operator_token=""))
    assert "have none" in problem(findings, "exposure")
    assert "remove workflow_services_operator_token" in findings[0].hint
    here = {"program_manager": "supervisor"}
    assert "exposure" not in {finding.check for finding in preflight(host(**here))}
    tokens = {"ops": {"scopes": ["read"], "sha256": "0" * 64}}
    findings = preflight(host(**here, workflow_services_tokens=tokens))
    problems = [finding.what for finding in findings if finding.check == "exposure"]
    assert problems == ["the API asks for tokens, and health, smoke and status have none"]
