"""Certificates: what a host's API would show, met by a client as it is met later."""

import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Any

from . import control_files
from .findings import Finding, Level
from .inventory import Host, Inventory, Pem

CHECK = "certificates"

SOON_DAYS = 14
LARGEST = 1 << 20
MOST_FILES = 1000
AUTHORITIES = ("workflow_services_api_ca", "workflow_services_projection_ca", "xian_node_index_ca")
"""What names a file with authorities on the control machine."""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MAKE = "issue it again with the authority that the clients trust"


def read(host: Host) -> Pem:
    """Read what a host's variables name; a relative path may be any file."""
    path = host.text("workflow_services_api_certificate")
    key = _key(host)
    plain = _holding(Path(path).parent, key) if path.startswith("/") and key else None
    return Pem(
        _content(path),
        {name: _content(host.text(name)) for name in AUTHORITIES if host.text(name)},
        str(plain or ""),
        bool(plain and plain.stat().st_mode & 0o077),
    )


def check(inventory: Inventory) -> Iterator[Finding]:
    """Look at the certificate, its key and the authorities of each host."""
    now = time.time()
    for name, files in inventory.certificates.items():
        host = inventory.hosts[name]
        for variable, content in files.authorities.items():
            if content is not None and _trusting(content) is None:
                what = f"{variable}: {host.text(variable)} holds no certificate in PEM"
                yield Finding(CHECK, (name,), what, "give the authority's certificate")
        if "api" in host.services and files.certificate is not None:
            yield from _shown(host, files.certificate, files, now)
        if files.plain_key:
            yield Finding(
                "vault",
                (name,),
                f"the key of the API's certificate is in plain text in {files.plain_key}"
                + (", and others may read it" if files.open_key else ""),
                f"encrypt it: ansible-vault encrypt {files.plain_key}",
                Level.PROBLEM if files.open_key else Level.WARNING,
            )


def _shown(host: Host, certificate: bytes, files: Pem, now: float) -> Iterator[Finding]:
    path = host.text("workflow_services_api_certificate")

    def found(what: str, hint: str, level: Level = Level.PROBLEM) -> Finding:
        return Finding(CHECK, (host.name,), what, hint, level)

    own = _CERTIFICATE.search(certificate)
    trusted = files.authorities.get("workflow_services_api_ca")
    # Authorities that only the host knows are not here: then everything but them is looked at.
    client = _trusting(trusted or (own[0] if own else b""))
    if own is None or _trusting(own[0]) is None:
        yield found(f"{path} is not a certificate in PEM", "its own certificate comes first in it")
        return
    key = _key(host)
    if client is None or not key:
        return  # which is a finding already
    if "ENCRYPTED" in key:
        hint = "openssl pkey -in KEY -out PLAIN, then encrypt that with Ansible Vault"
        yield found("workflow_services_api_key has a passphrase, which the API can't give", hint)
        return
    try:
        server = _server(certificate, key.encode())
    except ssl.SSLError as error:
        hint = "give the certificate and the key that were made together"
        fits = error.reason != "KEY_VALUES_MISMATCH"
        what = "is not a private key in PEM" if fits else f"is not the key of {path}"
        yield found(f"workflow_services_api_key {what}", hint)
        return
    name = api_name(host)
    try:
        shown = _met(client, server, None)
        yield from _soon(found, path, shown, now)
        _met(client, server, name)
    except ssl.SSLCertVerificationError as error:
        yield found(*_refused(error, path, name, certificate, server))
    except ssl.SSLError as error:
        yield found(f"no client could use {path}: {error.reason or error}", _MAKE)


def _refused(
    error: ssl.SSLCertVerificationError, path: str, name: str, certificate: bytes, server: Any
) -> tuple[str, str]:
    """Say why a client refuses it, and what to do."""
    if "mismatch" in error.verify_message:
        own = _CERTIFICATE.search(certificate)
        shown = _met(_trusting(own[0] if own else b"") or ssl.SSLContext(), server, None)
        names = [value for _, value in shown.get("subjectAltName", ())]
        listed = ", ".join(names) or "no name at all"
        hint = f"issue it for {_kind(name)}:{name} as a subject alternative name too, or set "
        hint += "workflow_services_api_name to a name that it has"
        return f"{path} names {listed}, and clients come to {name}", hint
    return f"a client refuses {path}: {error.verify_message}", _MAKE


def _soon(found: Any, path: str, shown: Mapping[str, Any], now: float) -> Iterator[Finding]:
    days = (ssl.cert_time_to_seconds(shown["notAfter"]) - now) / 86400
    if days < SOON_DAYS:
        what = f"{path} ends in {days:.0f} days, on {shown['notAfter']}"
        yield found(what, _MAKE, Level.WARNING)


def api_name(host: Host) -> str:
    """Return the name by which health, smoke and status reach the API of a host."""
    listens = host.text("workflow_services_api_host")
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return host.text("workflow_services_api_name") or loopback.get(listens, listens)


def _kind(name: str) -> str:
    try:
        ip_address(name)
    except ValueError:
        return "DNS"
    return "IP"


def _key(host: Host) -> str:
    value = host.values.get("workflow_services_api_key")
    return value if isinstance(value, str) else ""


def _content(path: str) -> bytes | None:
    """Return what is in a plain file of the control machine; None where it can't be looked into."""
    if not path.startswith("/") or not control_files.is_unencrypted(Path(path)):
        return None
    with Path(path).open("rb") as file:
        return file.read(LARGEST)


def _holding(folder: Path, key: str) -> Path | None:
    """Return the file of a folder that holds a key as it is; Ansible reads it without its end."""
    for path in islice(folder.iterdir(), MOST_FILES) if folder.is_dir() else ():
        content = _content(str(path))
        if content and content.decode("ascii", "replace").strip() == key.strip():
            return path
    return None


def _trusting(authorities: bytes) -> ssl.SSLContext | None:
    """Return a client that trusts only these, None where they are none; it asks for no name yet."""
    if b"CERTIFICATE" not in authorities:
        return None  # without any, Python would take those of the system
    try:
        client = ssl.create_default_context(cadata=authorities.decode("ascii", "replace"))
    except ssl.SSLError, ValueError:
        return None
    return client if client.cert_store_stats()["x509"] else None


def _server(certificate: bytes, key: bytes) -> ssl.SSLContext:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _in_memory(certificate) as certificate_file, _in_memory(key) as key_file:
        server.load_cert_chain(certificate_file, key_file, password=lambda: "")
    return server


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that is on no disk: OpenSSL reads keys from files alone."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _met(client: ssl.SSLContext, server: ssl.SSLContext, name: str | None) -> Mapping[str, Any]:
    """Let a client meet a server that shows a certificate; return what it holds.

    Raises SSLCertVerificationError where the client does not trust it, or it has another name.
    """
    client.check_hostname = name is not None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [one, other]
    for _ in range(10):  # TLS needs three turns
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            break
    return one.getpeercert() or {}
