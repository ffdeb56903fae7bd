"""Secrets that stand in plain text in the files of an inventory, where Ansible Vault belongs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .credentials import password_of
from .findings import Finding
from .inventory import Inventory

CHECK = "vault"

ANSIBLE_SECRETS = frozenset(
    {
        "ansible_become_pass",
        "ansible_become_password",
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_ssh_password",
        "ansible_su_pass",
        "ansible_sudo_pass",
    }
)

ENCRYPTED = "$ANSIBLE_VAULT;"
_PLAIN_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:int")
type _Leaf = yaml.ScalarNode
# A value that is nothing but another variable, perhaps filtered: {{ vault_dsn | trim }}.
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_]\w*)((?:\.\w+|\[[^\]]*\])*)\s*(?:\|[^}]*)?\}\}")


@dataclass(frozen=True, slots=True)
class _Place:
    """A variable with a plain value: `path` leads to it within the variable."""

    file: Path
    line: int
    name: str
    path: tuple[str, ...]
    text: str

    @property
    def label(self) -> str:
        """Variable and path as a person writes them."""
        return ".".join((self.name, *self.path))


def check(inventory: Inventory, secrets: frozenset[str]) -> Iterator[Finding]:
    """Find them; a value that only names another variable is looked for there."""
    places = [place for file, text in inventory.files.items() for place in _places(file, text)]
    suspects = secrets | ANSIBLE_SECRETS
    by_name: dict[str, list[_Place]] = {}
    for place in places:
        by_name.setdefault(place.name, []).append(place)
    seen: set[_Place] = set()
    waiting = [place for name in sorted(suspects) for place in by_name.get(name, [])]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        secret = _secret_part(place)
        if not secret:
            continue
        if "{{" not in secret and "{%" not in secret:
            yield Finding(
                CHECK,
                (),
                f"{place.file}:{place.line}: {place.label} is in plain text",
                "encrypt the file: ansible-vault encrypt FILE, or the value: "
                "ansible-vault encrypt_string",
            )
        for match in _REFERENCE.finditer(secret):
            waiting += by_name.get(match[1], [])


def _secret_part(place: _Place) -> str:
    """Return what of a value is secret: of a DSN its password, of others all of it."""
    if place.name.endswith("_dsn") or "://" in place.text:
        whole = _REFERENCE.fullmatch(place.text.strip())
        return place.text if whole else password_of(place.text) or ""
    return place.text


def _places(file: Path, text: str) -> Iterator[_Place]:
    if text.startswith(ENCRYPTED):
        return
    if file.suffix in {".yml", ".yaml", ".json", ""}:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError:
            root = None
        if isinstance(root, yaml.MappingNode):
            yield from _mapping(file, root)
            return
    yield from _lines(file, text)


def _mapping(file: Path, node: yaml.MappingNode) -> Iterator[_Place]:
    """Every variable below: in an inventory variables stand at any depth."""
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            for path, leaf in _leaves(value):
                yield _Place(file, leaf.start_mark.line + 1, key.value, path, leaf.value)
        if isinstance(value, yaml.MappingNode):
            yield from _mapping(file, value)


def _leaves(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Leaf]]:
    """Every text and number in a value. What has a tag of its own, as !vault, is neither."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag in _PLAIN_TAGS and node.value:
            yield path, node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _leaves(value, (*path, str(number)))


def _lines(file: Path, text: str) -> Iterator[_Place]:
    """The variables of an inventory in INI form."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith(("#", ";")):
            for match in re.finditer(r"""(?:^|\s)(\w+)\s*=\s*("[^"]*"|'[^']*'|\S+)""", line):
                yield _Place(file, number, match[1], (), match[2].strip("\"'"))
