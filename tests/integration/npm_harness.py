"""The programs of npm's registry that tests use: tests/openapi/package-lock.json says which."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
LOCKED = REPO / "tests" / "openapi"
FOLDER = REPO / ".cache" / "npm"
INSTALL_SECONDS = 280


def npm_folder() -> Path:
    """Return the folder in which these programs are, installed if need be.

    Skips the test, naming what is missing, where there is no npm or it can't reach its registry.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: install it to hold the API's description against its linters")
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = (LOCKED / "package-lock.json").read_bytes()
    digest, stamp = hashlib.sha256(lock).hexdigest(), FOLDER / "made-from"
    with (FOLDER / "lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(LOCKED / name, FOLDER)
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
            if done.returncode:
                pytest.skip(f"npm can't install what tests/openapi names: {done.stderr[-500:]}")
            stamp.write_text(digest)
    return FOLDER


def run(folder: Path, program: str, *arguments: str | Path) -> str:
    """Return what a program of `npm_folder` says; fails with all that it said where it fails."""
    done = subprocess.run(
        [folder / "node_modules" / ".bin" / program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
