"""What holds for the first start of a home that a recovery put there, and for no later one.

The home's `first-start.json` has it. CometBFT then checks whether its own validator has signed one
of the last blocks, and if so stops before it signs: another node is using the key. On an ordinary
start that check would stop a healthy validator, which has signed the last blocks itself.
So it applies only until this home has made its first signature, which comes after the check and
moves the signing state on from where the recovery left it. A kill in between makes no difference.

State sync is for that start too: its servers are tunnels that end with the recovery.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_backend_node import signing_state
from workflow_backend_node.files import json_object, read_regular_file
from workflow_backend_node.requests import Object, Refused, as_json, parse, write_private

NAME = "first-start.json"

_LARGEST = 1 << 20
_SERVERS, _PERIOD = 2, "168h0m0s"


@dataclass(frozen=True)
class StateSync:
    """Where a state is fetched from, and which block's hash is trusted."""

    rpc_servers: list[str]
    trust_height: int
    trust_hash: str


@dataclass(frozen=True)
class FirstStart:
    """`signed` is the height of the signing state that the recovery left; `check_blocks` look back.

    `state_sync` is empty where the home has its blocks, or gets all of them from peers.
    """

    signed: int
    check_blocks: int
    state_sync: Object

    @property
    def arguments(self) -> list[str]:
        """What CometBFT is started with."""
        return [f"--consensus.double_sign_check_height={self.check_blocks}"]

    @property
    def servers(self) -> list[str]:
        """Servers that must be in reach before CometBFT starts."""
        servers: list[str] = self.state_sync.get("rpc_servers", [])
        return servers

    @property
    def environment(self) -> Mapping[str, str]:
        """Settings that CometBFT takes from its environment: its configuration stays as it is."""
        if not self.state_sync:
            return {}
        sync = parse(StateSync, self.state_sync, "state sync")
        return {
            "CMT_STATESYNC_ENABLE": "true",
            "CMT_STATESYNC_RPC_SERVERS": ",".join(sync.rpc_servers),
            "CMT_STATESYNC_TRUST_HEIGHT": str(sync.trust_height),
            "CMT_STATESYNC_TRUST_HASH": sync.trust_hash,
            "CMT_STATESYNC_TRUST_PERIOD": _PERIOD,
        }


def write(home: Path, start: FirstStart) -> None:
    """Say it in a home that has not been started; raises `Refused` for servers that are too few."""
    if start.state_sync and len(set(start.servers)) < _SERVERS:
        raise Refused(f"state sync needs {_SERVERS} servers, {len(set(start.servers))} are given")
    write_private(home / NAME, as_json(vars(start)))


def read(home: Path) -> FirstStart | None:
    """Give what holds for this start; None, and nothing is left of it, for an ordinary one.

    Raises `Refused` for what can't be read: a start without it may sign twice.
    """
    path = home / NAME
    try:
        text = read_regular_file(path, _LARGEST)
    except FileNotFoundError:
        return None
    try:
        start = parse(FirstStart, json_object(text, str(path)), str(path))
    except Refused as error:
        raise Refused(f"{error}; run the recovery again") from None
    state = signing_state.of(home)
    if state is None:
        raise Refused(f"{signing_state.place(home)} is missing: run the recovery again")
    if int(state["height"]) > start.signed:
        path.unlink()
        return None
    return start


def synced(home: Path) -> bool:
    """Turn state sync off, once the state is there; returns whether it was on."""
    start = read(home)
    if start is None or not start.state_sync:
        return False
    write(home, FirstStart(start.signed, start.check_blocks, {}))
    return True
