"""A home to restore into, without an index, and node programs that only make files.

What these tests hold to its promise is the order of the steps: a restore that is killed at any
moment can be finished or undone.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workflow_backend.operations.snapshots import files, prepare_restore, swap
from workflow_backend.operations.snapshots.blocks import Inspection, Store
from workflow_backend.operations.snapshots.prepare_restore import Restore, Step
from workflow_backend.operations.snapshots.signatures import Trust

from . import samples

type Act = Callable[[], Any]
KILLED = 9


class FakeStore:
    """A store whose blocks lead to the snapshot and on from it."""

    def __init__(self, *_: object) -> None:
        pass

    def inspect(self, height: int, *_: int) -> Inspection:
        return Inspection(Store(samples.CHAIN, 1, height + 5, False), samples.APP_HASH, "", {})


def run_node_program(_: Path, request: dict[str, Any], __: str = "snapshot") -> dict[str, Any]:
    """What the node's own program leaves behind."""
    if request["action"] == "import":
        storage = Path(request["storage"])
        (storage / "lmdb").mkdir(parents=True)
        (storage / "state").write_text("new")
    return {"index_schema": 7}


class RestoreHome:
    """A home with an old state, or none, and a snapshot for it."""

    def __init__(self, path: Path, *, state: bool = True) -> None:
        self.path = path / "node" / ".cometbft"
        self.state = self.path / "xian"
        (self.path / "config").mkdir(parents=True)
        (self.path / "config" / "genesis.json").write_text("{}")
        (self.path / "data").mkdir()
        (self.path / "data" / "priv_validator_state.json").write_text("{}")
        (self.path / "config" / "xian.toml").write_text("bds_enabled = false\n")
        if state:
            (self.state / "bds-spool").mkdir(parents=True)
            (self.state / "bds-spool" / "1.json").write_text("a block")
            (self.state / "state").write_text("old")
        genesis = files.measure(self.path / "config" / "genesis.json").sha256
        snapshot = samples.snapshot(path / "one", genesis_sha256=genesis)
        digest = files.measure(snapshot / "manifest.json").sha256
        python, cometbft = Path("python"), Path("cometbft")
        self.request = Restore(
            snapshot=snapshot,
            trust=Trust(manifest_sha256=digest),
            chain_id=samples.CHAIN,
            genesis_sha256=genesis,
            home=self.path,
            node_python=python,
            cometbft=cometbft,
        )
        self.step = Step(home=self.path, node_python=python, cometbft=cometbft)
        self.kept = self.path.parent / "xian.before-restore"

    def has(self) -> str | None:
        """Whose the state is."""
        path = self.state / "state"
        return path.read_text() if path.exists() else None

    def prepare(self) -> Any:
        return prepare_restore.prepare(self.request, check=False)

    def swap(self) -> Any:
        return swap.swap(self.step, check=False)

    def undo(self) -> Any:
        return swap.undo(self.step, check=False)

    def finish(self) -> Any:
        return swap.finish(self.step, check=False)


def killed_before(moment: int, act: Act) -> bool:
    """Run it in a process that dies before its step number `moment`; tell whether it did."""
    child = os.fork()
    if child == 0:
        steps = itertools.count()

        def step(real: Callable[..., Any]) -> Callable[..., Any]:
            def dies(*arguments: Any, **named: Any) -> Any:
                if next(steps) == moment:
                    os._exit(KILLED)
                return real(*arguments, **named)

            return dies

        Path.rename = step(Path.rename)  # type: ignore[method-assign]
        Path.unlink = step(Path.unlink)  # type: ignore[method-assign]
        Path.mkdir = step(Path.mkdir)  # type: ignore[method-assign]
        Path.replace = step(Path.replace)  # type: ignore[method-assign]
        shutil.rmtree = step(shutil.rmtree)  # type: ignore[assignment]
        shutil.copyfile = step(shutil.copyfile)
        files.sync = step(files.sync)
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, KILLED}
    return status == KILLED


def fresh_homes(tmp_path: Path, *, state: bool = True) -> Iterator[tuple[int, RestoreHome]]:
    """A fresh home for each moment; the caller ends it once nobody was killed any more."""
    for moment in itertools.count():
        assert moment < 100
        yield moment, RestoreHome(tmp_path / str(moment), state=state)
