"""Who vouches for a snapshot.

A signature is over the manifest's bytes, and the manifest holds the sums of all files. Two kinds of
keys are trusted: those of control machines vouch for any snapshot, and are on no host; a host's key
vouches for what this host made, so that whoever takes a host over can't make snapshots for others.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, TypeAdapter, ValidationError
from xian_py import Wallet
from xian_py.wallet import verify_msg

from ...errors import RecoveryRefused, SettingError
from ...validation import problems
from ..regular_files import read_regular_file
from ..requests import Request
from .manifest import MOST_BYTES, SIGNATURES, Digest

type Signatures = Annotated[
    dict[Digest, Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]], Field(max_length=64)
]
_SIGNATURES: TypeAdapter[dict[str, str]] = TypeAdapter(Signatures)


class Trust(Request):
    """What a snapshot is trusted for: a signature by one of these keys, or its manifest's sum."""

    keys: list[Digest] = Field(default_factory=list)
    hosts: dict[str, Digest] = Field(default_factory=dict)
    manifest_sha256: Digest | None = None

    def keys_for(self, host: str) -> set[str]:
        """Return the keys that may have signed a snapshot that says it is of this host."""
        return {*self.keys, *([self.hosts[host]] if host in self.hosts else [])}


def sign(manifest: bytes, key: Path | SecretStr) -> dict[str, str]:
    """Return the signature of a key, or of the one in a file, by its public key.

    Raises SettingError for a bad key.
    """
    name = "that was given" if isinstance(key, SecretStr) else str(key)
    try:
        text = (
            key.get_secret_value()
            if isinstance(key, SecretStr)
            else key.read_text(encoding="ascii")
        )
        wallet = Wallet(private_key=text.strip())
    except (OSError, ValueError) as error:
        raise SettingError(
            f"the snapshots' key {name} can't be used: {type(error).__name__}",
            hint="workflow-backend wallets makes keys: 64 hexadecimal digits, in a file of its own",
        ) from None
    return {wallet.public_key: wallet.sign_msg(_message(manifest))}


def require(manifest: bytes, signatures: Mapping[str, str], trust: Trust, host: str) -> str:
    """Return for what the manifest is trusted; raises RecoveryRefused where it is not."""
    if trust.manifest_sha256 is not None:
        found = hashlib.sha256(manifest).hexdigest()
        if found != trust.manifest_sha256:
            raise RecoveryRefused(
                f"the manifest has the sum {found}, not {trust.manifest_sha256}",
                hint="it is another snapshot, or somebody changed it",
            )
        return "its sum"
    if not signatures:
        raise RecoveryRefused(
            "nobody has signed this snapshot",
            hint="sign it on the control machine, or pin its manifest: "
            "-e snapshots_manifest_sha256=SHA256",
        )
    trusted = trust.keys_for(host)
    known = {key: text for key, text in signatures.items() if key in trusted}
    if not known:
        raise RecoveryRefused(
            f"no trusted key has signed this snapshot of {host}, only {', '.join(signatures)}",
            hint="a host's key vouches for its own snapshots alone; "
            "sign it on the control machine, or pin its manifest: "
            "-e snapshots_manifest_sha256=SHA256",
        )
    for key, signature in known.items():
        if not _valid(key, manifest, signature):
            raise RecoveryRefused(
                f"the signature of {key} is not that of this manifest",
                hint="somebody changed one of them: use another snapshot",
            )
    return f"the signature of {min(known)}"


def read(folder: Path) -> dict[str, str]:
    """Return the signatures beside a manifest; raises RecoveryRefused where they are none."""
    path = folder / SIGNATURES
    try:
        given = read_regular_file(path, MOST_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RecoveryRefused(f"{path} can't be read: {error.strerror}") from None
    try:
        return _SIGNATURES.validate_json(given)
    except ValidationError as error:
        raise RecoveryRefused(f"{path} holds no signatures: {problems(error)}") from None


def _message(manifest: bytes) -> str:
    # With words before it that no transaction begins with: a signature of one is none of the other.
    return f"workflow-backend snapshot {hashlib.sha256(manifest).hexdigest()}"


def _valid(key: str, manifest: bytes, signature: str) -> bool:
    try:
        return bool(verify_msg(key, _message(manifest), signature))
    except ValueError:
        return False
