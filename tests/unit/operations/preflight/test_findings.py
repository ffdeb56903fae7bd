"""Findings: no secret is ever in them."""

from typing import Any

from workflow_backend.operations.preflight.findings import Level

from .inventories import host, preflight


def dsn(password: str, where: str = "db.example") -> str:
    """A DSN with a password."""
    return f"postgresql://jobs:{password}@{where}/jobs?sslmode=verify-full&sslrootcert=/ca.pem"


def test_findings_never_repeat_a_secret() -> None:
    secrets: dict[str, Any] = {
        "workflow_services_projection_dsn": dsn("postgres1"),
        "xian_node_index_dsn": dsn("postgres1", "x"),
        "workflow_services_operator_token": "postgres1",
        "workflow_services_keys": {"processor": "ab" * 32, "api": "postgres1"},
        "workflow_contract_operator_key": "ab" * 32,
        "workflow_services_settings": {"api": {"A": "ab" * 32}},
        "workflow_services_api_key": "postgres1",
    }
    files = {"a.yml": "\n".join(f"{name}: postgres1" for name in secrets)}
    findings = preflight(host(**secrets), host("four", **secrets), files=files)
    text = str([(finding.what, finding.hint) for finding in findings])
    assert len(findings) > 8
    assert "postgres1" not in text
    assert "ab" * 32 not in text
    assert {finding.level for finding in findings} == {Level.PROBLEM}
