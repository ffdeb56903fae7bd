"""What builds releases."""

import argparse
import json
from pathlib import Path
from typing import Any

from . import arguments as given


def add(commands: Any) -> None:
    """Add the command that builds releases."""
    release = commands.add_parser("release", help="build releases for hosts")
    actions = release.add_subparsers(required=True, metavar="action")
    what = "build a release from the clone in this folder: one archive of everything a host runs"
    build = actions.add_parser("build", help=what, description=what)
    build.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: dist)")
    build.add_argument(
        "--root",
        type=Path,
        default=Path("/opt/workflow-backend"),
        help="folder of the releases on every host (default: /opt/workflow-backend)",
    )
    build.add_argument(
        "--keep",
        type=given.count,
        default=4,
        metavar="N",
        help="earlier releases that stay (default: 4)",
    )
    build.add_argument(
        "--consensus-compatible-with",
        action="append",
        default=[],
        metavar="ID",
        help="declare that its nodes agree on every block with those of release ID, so that hosts "
        "may change between the two one at a time; may be repeated",
    )
    build.set_defaults(run=_build)


def _build(arguments: argparse.Namespace) -> int:
    from ..operations.release.build import build

    built = build(
        Path.cwd(),
        arguments.out,
        arguments.root.absolute(),
        arguments.keep,
        arguments.consensus_compatible_with,
    )
    print(json.dumps(built))
    return 0
