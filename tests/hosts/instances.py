"""Molecule's side: the hosts that its file names, and where it reads how to reach them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from . import LOGS, images, network, store
from .network import Network


def create() -> None:
    """Boot the hosts of the scenario that Molecule's variables name."""
    config: dict[str, Any] = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text())
    booted = Network.boot(_name(), suites(config["platforms"]))
    Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).write_text(yaml.safe_dump(described(booted)))


def destroy() -> None:
    """Keep their journals and take them down; there may be none."""
    record = store.read(store.NETWORKS / _name())
    if record is None:
        return
    for host in Network(record):
        if host.is_up:
            file = LOGS / record.name / f"{host.name}.journal"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(host.journal())
    network.take_down(record)


def suites(platforms: list[dict[str, Any]]) -> dict[str, str]:
    """Which Debian runs on which host: `suite`, else the one it is named for, else the oldest."""
    found = {}
    for platform in platforms:
        name = platform["name"]
        usual = name if name in images.SUITES else images.SUITES[0]
        found[name] = platform.get("suite", usual)
    return found


def described(booted: Network) -> list[dict[str, Any]]:
    """How to reach each host."""
    return [
        {
            "instance": host.name,
            "address": host.address,
            "user": "root",
            "port": 22,
            "identity_file": str(booted.folder / "key"),
        }
        for host in booted
    ]


def _name() -> str:
    return store.name_of(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
