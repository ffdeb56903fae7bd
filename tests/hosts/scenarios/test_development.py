"""Root's development stack, from a clone that nobody else can enter: made, removed, made again."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.hosts import REPO

# Everything that is fixed is this test's own: ports, processes, accounts and the stack's folders.
SCRIPT = """\
set -eux
mount --bind "$1/etc" /etc
mount --bind "$1/lib" /var/lib
mount -t tmpfs tmpfs /run
ip link set lo up
cd "$1/home/clone"
make dev
readlink -f /var/lib/workflow-backend-dev/runtime/*/bin/python
. .dev/env
workflow-backend items submit order-1 urn:example
workflow-backend items watch order-1
for process in /proc/[0-9]*; do
  case $(readlink "$process/cwd") in
    /var/lib/workflow-backend-dev/*) cat "$process/environ" && echo
  esac
done >"$1/inherited"
make dev-down
make dev
make dev
make dev-down
ls /var/lib
"""
ASIDE = {".venv", ".cache", ".dev", ".ansible", "dist", "__pycache__"}
# What a clone has after its first set-up; the rest of it is made anew, without a network.
MADE = ("cometbft", "packages", "tools/patchelf", "uv")


def test_a_stack_from_a_closed_clone_comes_goes_and_comes_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    clone = home / "clone"
    shutil.copytree(REPO, clone, symlinks=True, ignore=shutil.ignore_patterns(*ASIDE))
    for name in MADE:
        if (REPO / ".cache" / name).exists():
            shutil.copytree(REPO / ".cache" / name, clone / ".cache" / name, symlinks=True)
    shutil.copytree("/etc", tmp_path / "etc", symlinks=True)
    (tmp_path / "lib").mkdir()
    uv = str(REPO / ".cache" / "uv" / "bin" / "uv")
    cache = subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, text=True).stdout
    done = subprocess.run(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("bash", "-c", SCRIPT, "bash", tmp_path),
        ],
        env=os.environ | {"HOME": str(home), "UV_CACHE_DIR": cache.strip(), "UV_OFFLINE": "1"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1100,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert str(clone) not in done.stdout.split("readlink -f", 1)[1].split("\n+ ", 1)[0]
    assert '"status": "completed"' in done.stdout
    inherited = (tmp_path / "inherited").read_text(errors="replace")
    assert "WORKFLOW_REVISION=" in inherited
    assert "UV_OFFLINE" not in inherited  # a setting of the shell
    assert "changed=0" in done.stdout.rsplit("PLAY RECAP", 1)[1]
    assert done.stdout.rstrip().endswith("+ ls /var/lib")
