"""What a release holds: every file with its SHA-256, and every link."""

import hashlib
import json
from pathlib import Path
from typing import Any

NAME = "manifest.json"

type Manifest = dict[str, Any]


def describe(folder: Path, head: Manifest) -> Manifest:
    """Return `head` together with all that is in the folder, the manifest aside."""
    files, links = {}, {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            links[name] = str(path.readlink())
        elif path.is_file() and name != NAME:
            files[name] = file_digest(path)
    return {**head, "files": files, "links": links}


def as_text(manifest: Manifest) -> str:
    """The one text of a manifest."""
    return json.dumps(manifest, indent=1, sort_keys=True) + "\n"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
