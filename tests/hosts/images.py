"""What hosts are booted from: a plain Debian with what a host has, and nothing that is deployed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import debian
from places import places
from steps import SetupError, locked, run, step

from . import REPO
from .store import HOME, records, remove_tree

SUITES = ("bookworm", "forky")

# Hosts that are no part of the toolkit, by what they are: the suite and what is in it besides.
OTHERS = {"database": ("forky", ("postgresql",))}

IMAGES = HOME / "images"

PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "libpam-systemd",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
)

# Run in the new system, once its packages are there.
SETUP = """\
systemctl enable --quiet systemd-networkd.service ssh.service
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer
rm -f /etc/machine-id /var/lib/dbus/machine-id /etc/hostname /etc/resolv.conf
useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
# Tests connect often, and are cut off while they do.
echo 'MaxStartups 100:30:200' >/etc/ssh/sshd_config.d/tests.conf
mkdir -p /run/sshd
if sshd -T | grep -q '^persourcepenalties'; then
  echo 'PerSourcePenalties no' >>/etc/ssh/sshd_config.d/tests.conf
fi
"""

_NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh": "openssh-client",
}


def check_machine() -> None:
    """Raise `SetupError` where this machine can't boot hosts, in one line."""
    if os.geteuid() != 0:
        raise SetupError("only root can boot test hosts", "sudo make test-hosts")
    missing = [package for program, package in _NEEDED.items() if not shutil.which(program)]
    if missing:
        raise SetupError(
            f"{', '.join(missing)}: not installed",
            f"apt-get install --no-install-recommends {' '.join(missing)}",
        )


def key(packages: Sequence[str] = ()) -> str:
    """What an image depends on, as a few digits; the day it was made is not part of it."""
    made_from = json.dumps([*PACKAGES, *packages, SETUP])
    return hashlib.sha256(made_from.encode()).hexdigest()[:12]


def folder(suite: str) -> Path:
    """Where the image of a suite is, or will be."""
    _, packages = _of(suite)
    return IMAGES / f"{suite}-{key(packages)}"


def make(suite: str) -> Path:
    """The image of a suite, or of another host, made where there is none yet (15 s)."""
    image = folder(suite)
    if image.is_dir():
        return image
    IMAGES.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(IMAGES / f"{suite}.lock"):
        if not image.is_dir():
            with step(f"Debian {suite} for test hosts"):
                _make(suite, image)
            _remove_old(suite, image)
    return image


def host_key(image: Path) -> str:
    """The public key by which hosts of an image prove who they are."""
    kind, text, *_ = (image / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    return f"{kind} {text}"


def _of(name: str) -> tuple[str, tuple[str, ...]]:
    """The Debian of an image, and what is in it besides."""
    if name in SUITES:
        return name, ()
    if name not in OTHERS:
        known = ", ".join((*SUITES, *OTHERS))
        raise SetupError(f"there is no image of {name}", f"take one of {known}")
    return OTHERS[name]


def _make(name: str, image: Path) -> None:
    suite, packages = _of(name)
    where = places(REPO)
    fresh = image.with_suffix(".new")
    remove_tree(fresh)
    reasons = []
    for mirror in debian.mirrors(where):
        try:
            run(
                [
                    *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
                    f"--include={','.join((*PACKAGES, *packages))}",
                    # A mirror's copy of a suite's signed Release file may be past its date.
                    '--aptopt=Acquire::Check-Valid-Until "false"',
                    f"--customize-hook=chroot \"$1\" sh -eu -c '{_quoted(SETUP)}'",
                    *(suite, fresh, f"deb [signed-by={debian.keyring()}] {mirror} {suite} main"),
                ],
                what=f"Debian {suite} can't be had from {mirror}",
                log=where.log(f"image-{name}"),
            )
        except SetupError as trouble:
            reasons.append(trouble)
        else:
            fresh.rename(image)
            return
        finally:
            remove_tree(fresh)
    if reasons:
        raise reasons[0]
    raise SetupError("apt knows no mirror of Debian", "add one to the sources of apt")


def _quoted(script: str) -> str:
    return script.replace("'", "'\"'\"'")


def _remove_old(suite: str, image: Path) -> None:
    """Remove images that are made no more, unless a host is still running on one."""
    used = {host.image for record in records() for host in record.hosts}
    for other in IMAGES.glob(f"{suite}-*"):
        if other != image and str(other) not in used and other.is_dir():
            remove_tree(other)


def size(image: Path) -> int:
    """The bytes that an image takes on the disk."""
    done = subprocess.run(
        ["du", "--summarize", "--block-size=1", image], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[0])
