"""The node's own programs, asked in JSON: they know the app, and these services may not."""

import json
import subprocess
from pathlib import Path
from typing import Any

from ...errors import RecoveryRefused

type Object = dict[str, Any]


def ask(python: Path, request: Object, program: str = "snapshot") -> Object:
    """Return the answer of a program of the node; raises RecoveryRefused with its reason."""
    command = [str(python), "-m", f"workflow_backend_node.{program}"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise RecoveryRefused(f"{python} can't be run: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise RecoveryRefused(lines[-1] if lines else f"{program} ended with {done.returncode}")
    answer: Object = json.loads(done.stdout)
    return answer
