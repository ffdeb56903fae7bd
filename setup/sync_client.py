"""Make the client that blocks out of the one that is awaited; `--check` only compares them.

Both have one source, the files `_async_NAME.py`. Names are replaced by their place in the text, so
comments and docstrings stay as they are. Then Ruff formats the result.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tokenize
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "services/client/workflow_backend_client"
SOURCES = {FOLDER / f"_async_{name}.py": FOLDER / f"_{name}.py" for name in ("client", "transport")}

_FIRST_LINE = '"""What blocks, made of `_async_{name}` by setup/sync_client.py."""'
_NAMES = {
    "AsyncClient": "Client",
    "AsyncIterator": "Iterator",
    "AsyncTransport": "Transport",
    "_async_transport": "_transport",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "asyncio": "time",
    "async": "",
    "await": "",
}


def main() -> int:
    """Write what blocks, or compare it; return the exit code."""
    code = 0
    for source, target in SOURCES.items():
        text = _formatted(translate(source.read_text(encoding="utf-8"), target.name), target)
        if sys.argv[1:] != ["--check"]:
            target.write_text(text, encoding="utf-8")
        elif target.read_text(encoding="utf-8") != text:
            print(
                f"error: {target.name} is not what {source.name} makes: "
                "do this: .venv/bin/python setup/sync_client.py",
                file=sys.stderr,
            )
            code = 1
    return code


def translate(source: str, name: str) -> str:
    """Return the source of what blocks, not formatted; `name` is its file's."""
    lines = source.splitlines()
    names = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.NAME and token.string in _NAMES
    ]
    for token in reversed(names):
        row, begin = token.start[0] - 1, token.start[1]
        replacement = _NAMES[token.string]
        end = token.end[1] + (not replacement)  # with the space behind it
        lines[row] = lines[row][:begin] + replacement + lines[row][end:]
    first = _FIRST_LINE.format(name=name.removeprefix("_"))
    return "\n".join([first, *lines[1:], ""])


def _formatted(text: str, target: Path) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    for step in (("check", "--quiet", "--select", "I", "--fix"), ("format",)):
        command = [str(ruff), *step, "--stdin-filename", str(target), "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


if __name__ == "__main__":
    sys.exit(main())
