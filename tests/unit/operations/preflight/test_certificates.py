"""Certificates, keys and authorities are met as a client meets them, before a deployment."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import IPAddress
from tls_harness import Authority

from workflow_backend.operations.preflight import certificates
from workflow_backend.operations.preflight.findings import Finding

from .inventories import host, preflight, problem, warning

ADDRESS = "192.0.2.1"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness's certificates last an hour."""
    monkeypatch.setattr(certificates, "SOON_DAYS", 0)


class Made:
    """The files of one host, as its inventory names them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.authority = Authority(folder, "ca")
        addresses = [IPAddress(ip_address(name)) for name in names]
        self.certificate, self.key = self.authority.issue("api.example.org", *addresses)
        self.authorities = self.authority.certificate.read_bytes()
        self.variables: dict[str, Any] = {
            "workflow_services_api_host": ADDRESS,
            "workflow_services_api_certificate": str(folder / "one.pem"),
            "workflow_services_api_ca": str(folder / "ca.pem"),
            "workflow_services_operator_token": "xwb_" + "k3J9" * 11,
        }

    def findings(self, **other: Any) -> list[Finding]:
        (self.folder / "one.pem").write_bytes(self.certificate)
        (self.folder / "ca.pem").write_bytes(self.authorities)
        given = {"workflow_services_api_key": self.key.decode(), **self.variables, **other}
        one = host(**given)
        return preflight(one, certificates={"one": certificates.read(one)})


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path, ADDRESS, "::1")


def test_certificate_that_clients_can_use_is_no_finding(made: Made) -> None:
    assert made.findings() == []
    assert made.findings(workflow_services_api_name="api.example.org") == []
    assert made.findings(workflow_services_api_host="::", workflow_services_api_name="::1") == []
    # Authorities that only the host has are not looked at, everything else is.
    assert made.findings(workflow_services_api_ca="") == []


@pytest.mark.parametrize("ca", ["the ca", ""])
def test_certificate_has_to_name_where_clients_come_to(made: Made, ca: str) -> None:
    given = {} if ca else {"workflow_services_api_ca": ""}
    given["workflow_services_api_name"] = "192.0.2.9"
    (finding,) = made.findings(**given)
    assert finding.what.endswith(
        "names api.example.org, 192.0.2.1, 0:0:0:0:0:0:0:1, and clients come to 192.0.2.9"
    )
    assert "issue it for IP:192.0.2.9" in finding.hint
    given["workflow_services_api_name"] = "other.example.org"
    assert "issue it for DNS:other.example.org" in made.findings(**given)[0].hint


def test_key_has_to_be_the_certificates(made: Made) -> None:
    _, other = made.authority.issue("api.example.org")
    what = problem(made.findings(workflow_services_api_key=other.decode()), "certificates")
    assert what.startswith("workflow_services_api_key is not the key of ")
    assert "PRIVATE" not in what
    what = problem(made.findings(workflow_services_api_key="bm8ga2V5IGF0IGFsbA"), "certificates")
    assert what == "workflow_services_api_key is not a private key in PEM"


def test_key_with_a_passphrase_is_refused_and_asks_nobody(made: Made) -> None:
    key = serialization.load_pem_private_key(made.key, None)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        text = key.private_bytes(
            serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"word")
        ).decode()
        what = problem(made.findings(workflow_services_api_key=text), "certificates")
        assert "has a passphrase" in what


def test_certificate_of_another_authority_is_refused(made: Made, tmp_path: Path) -> None:
    made.authorities = Authority(tmp_path, "other").certificate.read_bytes()
    what = problem(made.findings(), "certificates")
    assert "a client refuses" in what
    assert "unable to get local issuer certificate" in what


@pytest.mark.parametrize(
    "text", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
)
def test_certificate_that_is_none_is_named(made: Made, text: bytes) -> None:
    made.certificate = text
    assert problem(made.findings(), "certificates").endswith("one.pem is not a certificate in PEM")
    good = Made(made.folder, ADDRESS)
    good.authorities = text
    assert "workflow_services_api_ca: " in problem(good.findings(), "certificates")


def test_certificate_that_ends_soon_is_a_warning(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "SOON_DAYS", 14)
    assert "ends in 0 days" in warning(made.findings(), "certificates")


def test_key_in_plain_text_beside_its_certificate_is_reported(made: Made) -> None:
    file = made.folder / "one.key"
    file.write_bytes(made.key + b"\n")
    file.chmod(0o600)
    assert str(file) in warning(made.findings(), "vault")
    file.chmod(0o644)
    assert "others may read it" in problem(made.findings(), "vault")
    file.write_text("$ANSIBLE_VAULT;1.1;AES256\n")
    assert made.findings() == []


def test_tokens_that_the_api_would_not_take_are_reported() -> None:
    findings = preflight(host(), tokens={"one": ["web needs scopes"]})
    assert problem(findings, "tokens") == "workflow_services_tokens: web needs scopes"
