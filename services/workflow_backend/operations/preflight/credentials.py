"""Secrets that the hosts are given: strong enough, and one for each thing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..dsn import Dsn
from .findings import Finding, Level
from .inventory import Host, Inventory

CHECK = "passwords"

SHORTEST = 12
# fmt: off
WORDS = frozenset(
    {
        "a", "access", "admin", "administrator", "api", "change", "changeit", "changeme",
        "database", "db", "default", "demo", "dev", "development", "example", "foo", "guest",
        "hello", "here", "insecure", "is", "it", "letmein", "login", "master", "me", "my",
        "operator", "pass", "passwd", "password", "passwort", "pg", "pgsql", "placeholder",
        "please",
        "postgres", "postgresql", "qwerty", "qwertz", "replace", "replaceme", "root", "secret",
        "sql", "sysadmin", "temp", "test", "testing", "the", "this", "to", "todo", "token",
        "unsafe", "user", "welcome", "workflow", "workflowbackend", "xian", "xxx", "your",
    }
)
# fmt: on

_KEY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a host is given: where it is set, and what it opens.

    `door` tells one use from another: a database's account, or the variable.
    """

    host: str
    label: str
    text: str
    door: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def key(self) -> bool:
        """Whether it is a wallet's private key."""
        return _KEY.fullmatch(self.text) is not None


def secrets(host: Host) -> Iterator[Secret]:
    """Return every secret that a host sets, of a DSN only its password."""
    for name in sorted(host.catalogue.secrets & host.values.keys()):
        value = host.values[name]
        if isinstance(value, dict) != (host.catalogue.options[name].kind == "dict"):
            continue  # what it is instead is a finding already
        entries = value.items() if isinstance(value, dict) else [("", value)]
        for entry, text in entries:
            if isinstance(text, str) and text.strip():
                label = f"{name}.{entry}" if entry else name
                if name.endswith("_dsn"):
                    yield from _of_dsn(host, label, text.strip())
                else:
                    yield Secret(host.name, label, text.strip(), (label,))


def password_of(text: str) -> str | None:
    """Return the password in a DSN; None where it has none."""
    dsn = Dsn.parse(text)
    return dsn.password if dsn else None


def weakness(secret: str, names: tuple[str, ...] = ()) -> str:
    """Say why a password or token is weak; empty where it is not. `names` are what it must not be.

    >>> weakness("postgres2024!")
    'is a well-known word'
    """
    word = re.sub(r"[^a-z]", "", secret.lower())
    parts = re.findall(r"[a-z]+", secret.lower())
    if not word and len(secret) < 20:
        return "holds no letter"
    if word in WORDS or (parts and all(part in WORDS for part in parts)):
        return "is a well-known word"
    if secret.lower() in {name.lower() for name in names if name}:
        return "is the name of the account or the database"
    if len(secret) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if len(set(secret)) < SHORTEST // 2:
        return "repeats a few characters"
    return ""


def check(inventory: Inventory) -> Iterator[Finding]:
    """Find what can be guessed, and what opens two things."""
    found = [secret for host in inventory.hosts.values() for secret in secrets(host)]
    for secret in found:
        if reason := _reason(secret):
            what = f"the password in {secret.label}" if secret.names else secret.label
            hint = "make a long random one: openssl rand -hex 24"
            yield Finding(CHECK, (secret.host,), f"{what} {reason}", hint)
    by_text: dict[str, list[Secret]] = {}
    for secret in found:
        if not secret.key:  # who may share a wallet is a question of its own
            by_text.setdefault(secret.text, []).append(secret)
    for group in by_text.values():
        if len({secret.door for secret in group}) > 1:
            yield _shared(group)


def _reason(secret: Secret) -> str:
    if secret.key:
        few = len(set(secret.text.lower())) < 8  # chance makes one of these in 10^12 tries
        return "is not a random key" if few else ""
    return weakness(secret.text, secret.names)


def _shared(group: list[Secret]) -> Finding:
    labels = sorted({secret.label for secret in group})
    hosts = tuple(sorted({secret.host for secret in group}))
    if len(labels) > 1:
        what = f"{' and '.join(labels)} are the same secret"
        return Finding(CHECK, hosts, what, "whoever learns one knows the other: give each its own")
    return Finding(
        CHECK,
        hosts,
        f"{labels[0]} has one password for several accounts or databases",
        "whoever learns it opens all of them: better give each its own",
        Level.WARNING,
    )


def _of_dsn(host: Host, label: str, text: str) -> Iterator[Secret]:
    dsn = Dsn.parse(text)
    if dsn is None or not dsn.password:
        return
    where = host.name if dsn.is_local else dsn.host
    door = (dsn.user, where, str(dsn.port or ""))
    yield Secret(host.name, label, dsn.password, door, (dsn.user, dsn.database))
