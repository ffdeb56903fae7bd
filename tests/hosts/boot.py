"""The outer process of a host: `boot.py HOST_FOLDER`, started anew for each start of the host.

It works in a mount namespace of its own, so no mount outlives it. It needs nothing but the standard
library and `spec.json` in the host's folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# systemd-nspawn ends with 133 when the host asks for a reboot.
_LOOP = 'while :; do "$@"; status=$?; [ $status -eq 133 ] || exit $status; done'


def main() -> None:
    """Become the host."""
    folder = Path(sys.argv[1])
    spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
    (Path(spec["group"]) / "cgroup.procs").write_text(str(os.getpid()))
    os.unshare(os.CLONE_NEWNS)
    _mount("--make-rprivate", "/")
    # It refuses to clean up its own folder unless that is in memory, and /run may be on a disk.
    Path("/run/systemd/nspawn").mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run/systemd/nspawn")
    root = _root(folder, spec["image"])
    _prepare(folder, root, spec)
    os.environ["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
    command = ["systemd-nspawn", "--quiet", "--boot", "--console=pipe", "--directory", str(root)]
    command += ["--register=no", "--keep-unit", "--settings=no", "--link-journal=no"]
    command += ["--resolv-conf=off", "--timezone=off", f"--network-bridge={spec['bridge']}"]
    command += [f"--machine={spec['machine']}", f"--hostname={spec['name']}"]
    command += [f"--uuid={spec['machine_id']}"]
    os.execvp("sh", ["sh", "-c", _LOOP, spec["name"], *command])  # noqa: S606


def _root(folder: Path, image: str) -> Path:
    """The host's root: the image below, what the host changes above; a copy where that can't be."""
    root = folder / "root"
    upper, work = folder / "upper", folder / "work"
    for path in (root, upper, work):
        path.mkdir(exist_ok=True)
    layers = f"lowerdir={image},upperdir={upper},workdir={work}"
    done = subprocess.run(
        ["mount", "-t", "overlay", "-o", layers, "overlay", root], capture_output=True, check=False
    )
    if done.returncode != 0 and not (root / "etc").is_dir():
        subprocess.run(["cp", "-a", "--reflink=auto", f"{image}/.", root], check=True)
    return root


def _prepare(folder: Path, root: Path, spec: dict[str, Any]) -> None:
    """Give a new host its name, its address and the key; never again once it is the host's own."""
    mark = folder / "prepared"
    if mark.exists():
        return
    for name, text in spec["files"].items():
        (root / name).write_text(text, encoding="utf-8")
    for home in (root / "root", root / "home/admin"):
        owner = home.stat()
        keys = home / ".ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        (keys / "authorized_keys").write_text(spec["authorized_key"], encoding="utf-8")
        for path in (keys, keys / "authorized_keys"):
            os.chown(path, owner.st_uid, owner.st_gid)
    mark.touch()


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
