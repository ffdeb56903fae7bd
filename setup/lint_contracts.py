"""Run the Xian contract linter for the node's VM over contract files, as it has no command."""

import sys
from pathlib import Path

from xian_linter import XIAN_VM_V1_MODE, lint_code_sync


def main(names: list[str]) -> int:
    """Print `file:line:column: code message` for each finding; return 1 if there is any."""
    if not names:
        print("error: no contract to lint", file=sys.stderr)
        return 1
    findings = 0
    for name in names:
        try:
            source = Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            print(f"error: {name} can't be read: {error}", file=sys.stderr)
            return 1
        for found in lint_code_sync(source, mode=XIAN_VM_V1_MODE):
            place = f"{found.position.line}:{found.position.col}" if found.position else "1:0"
            print(f"{name}:{place}: {found.code} {found.message}")
            findings += 1
    print(f"{len(names)} contracts, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
