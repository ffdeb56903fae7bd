"""What preflight reads on the control machine: specs of roles, files of the inventory, networks."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from ...errors import SettingError
from .catalogue import Catalogue
from .inventory import Network, Release
from .plaintext_secrets import ENCRYPTED

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is

_LARGEST = 1 << 20
"""A file of an inventory is small; others lie there by chance."""

_KEYS = (
    "operator.json",
    "operator.token",
    "hosts/*/node_key.json",
    "hosts/*/priv_validator_key.json",
    "wallets/*.key",
    "snapshots/*.key",
)


def read_catalogue(roles: Path, variables: Iterable[str]) -> Catalogue:
    """Read every role's argument specs and the profiles that their defaults name."""
    specs = {
        file.parts[-3]: _yaml(file) for file in sorted(roles.glob("*/meta/argument_specs.yml"))
    }
    profiles: dict[str, dict[str, Any]] = {}
    for file in sorted(roles.glob("*/vars/main/*.yml")):
        content = _yaml(file)
        if len(content) == 1:  # a profile is the only thing in its file
            profiles.setdefault(file.parts[-4], {})[file.name] = next(iter(content.values()))
    return Catalogue(specs, profiles, variables)


def read_inventory_files(sources: Iterable[str], playbooks: str) -> dict[Path, str]:
    """Read the files in which an inventory's variables may stand, by their paths."""
    found: dict[Path, str] = {}
    for source in [Path(source) for source in sources]:
        if source.is_file():
            found.update(_texts([source]))
        base = source if source.is_dir() else source.parent
        if source.is_dir():
            found.update(_texts(path for path in sorted(source.iterdir()) if path.is_file()))
        found.update(_variables(base))
    found.update(_variables(Path(playbooks)))
    return found


def read_network(folder: Path) -> Network | None:
    """Read a network folder; None where there is none. Raises SettingError for one that is none."""
    try:
        content = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        wallets = folder / "wallets" / "wallets.json"
        keys = [path for pattern in _KEYS for path in sorted(folder.glob(pattern))]
        plain = [path for path in keys if not _encrypted(path)]
        closed = not folder.stat().st_mode & 0o077
        return Network(
            content["chain_id"],
            content["genesis_sha256"],
            content["hosts"],
            content.get("operator") or "",
            content.get("peers", ()),
            json.loads(wallets.read_text(encoding="utf-8")) if wallets.exists() else {},
            [str(path.relative_to(folder)) for path in plain],
            [
                str(path.relative_to(folder))
                for path in plain
                if not closed and path.stat().st_mode & 0o077
            ],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(f"{folder} is not a network folder: {error}") from error


def is_unencrypted(file: Path) -> bool:
    """Tell whether it is a file that is there and not encrypted."""
    return file.is_file() and not _encrypted(file)


def read_release(file: Path) -> Release:
    """Read the file that a release's build wrote beside its archive."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        archive = file.parent / content["archive"]
        # Its files, the environments made of them, and the archive beside both.
        needs = 2 * content["unpacked_bytes"] + content["bytes"]
        return Release(content["id"], needs, None if archive.is_file() else archive)
    except OSError, ValueError, KeyError, TypeError:
        return Release(missing=file)


def _variables(base: Path) -> dict[Path, str]:
    folders = [base / name for name in ("group_vars", "host_vars")]
    return _texts(path for folder in folders for path in sorted(folder.rglob("*")))


def _texts(paths: Iterable[Path]) -> dict[Path, str]:
    return dict(_read(paths))


def _read(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST and path.name[0] != ".":
                yield path, path.read_text(encoding="utf-8")
        except OSError, UnicodeDecodeError:
            continue  # Ansible could not read it either, or it is not a file of variables


def _encrypted(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ENCRYPTED)) == ENCRYPTED.encode()


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - it is a safe one
