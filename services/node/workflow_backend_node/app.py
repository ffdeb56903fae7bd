"""Launches the node's app, `xian-abci`, with its index writer mended and a cache.

See `index` and `ir_cache`.

    python -m workflow_backend_node.app HOME

HOME is the node's home and is called `.cometbft`. With an index, `$XIAN_BDS_DSN` names its
database, or, when a password is in it, the credential `index_dsn` (a file in
`$CREDENTIALS_DIRECTORY`); the app starts once that database answers.
"""

import asyncio
import json
import os
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workflow_backend_node import logs
from workflow_backend_node.notify import Manager
from workflow_backend_node.requests import Refused
from workflow_backend_node.toml import read_toml
from workflow_backend_node.unfinished_restore import require_no_restore

WRITTEN_FOR = "0.9.3"
DATABASE_SECONDS = 60.0
STOP_SECONDS = 5.0
LISTENS_SECONDS = 0.02


def main() -> int:
    """Run the app until it gets a signal to stop."""
    manager = Manager()
    logs.begin("abci")
    # Otherwise the log shows the values of a traceback's variables, and one of them is the DSN.
    os.environ["LOGURU_DIAGNOSE"] = "NO"
    try:
        _check_version(version("xian-tech-abci"))
        home = _home(sys.argv[1:])
        require_no_restore(home)
        indexed = read_toml(home / "config" / "xian.toml")["bds_enabled"]
        # xian-abci knows its home and the database by these two alone, and reads HOME when it is
        # imported.
        os.environ["HOME"] = str(home.parent)
        if indexed:
            if "XIAN_BDS_DSN" not in os.environ:
                os.environ["XIAN_BDS_DSN"] = _credential("index_dsn")
            manager.notify(STATUS="waits for the index's database")
            _prepare_index(home, os.environ["XIAN_BDS_DSN"])
    except (Refused, OSError) as error:
        logs.say("error", f"the app does not start: {error}")
        return 1
    manager.notify(STATUS="reads its state")
    # After HOME is set, and the log has its shape.
    from abci import server  # type: ignore[import-untyped]  # noqa: PLC0415
    from xian.xian_abci import main as xian_abci  # noqa: PLC0415

    from workflow_backend_node import ir_cache  # noqa: PLC0415

    ir_cache.install()
    _report_liveness(server, manager)
    _bound_stop(server, manager)
    xian_abci()
    return 0


def _check_version(installed: str) -> None:
    if installed != WRITTEN_FOR:
        raise Refused(
            f"xian-tech-abci {installed} is installed, the mended index is written for "
            f"{WRITTEN_FOR}: install {WRITTEN_FOR}, or a release of this toolkit for {installed}"
        )


def _home(arguments: list[str]) -> Path:
    if len(arguments) != 1:
        raise Refused("usage: python -m workflow_backend_node.app HOME")
    home = Path(arguments[0])
    if home.name != ".cometbft":
        raise Refused(f"{home}: the app only knows a home that is called .cometbft")
    for name in ("config.toml", "xian.toml", "genesis.json"):
        if not (home / "config" / name).is_file():
            raise Refused(
                f"{home / 'config' / name} is missing: the home is made by the deployment"
            )
    return home


def _credential(name: str) -> str:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise Refused(
            "neither XIAN_BDS_DSN nor the credential index_dsn names the index's database"
        )
    return (Path(directory) / name).read_text(encoding="utf-8").strip()


def _prepare_index(home: Path, dsn: str) -> None:
    # Imports the app's code, so HOME has to be set.
    from workflow_backend_node import index  # noqa: PLC0415

    asyncio.run(index.wait_for_database(dsn, DATABASE_SECONDS))
    genesis = json.loads((home / "config" / "genesis.json").read_text(encoding="utf-8"))
    asyncio.run(index.refuse_foreign(dsn, genesis))
    index.set_unreadable_aside(home / "xian" / "bds-spool")
    index.mend()


def _report_liveness(server: Any, manager: Manager) -> None:
    """Report when the app listens, and from then on that its event loop is alive.

    The loop itself reports it, so a dead loop can't. The loop is busy for as long as a block takes
    to execute: 20 s were seen for a full mempool of 5,000 small transactions, on two cores. A block
    that takes longer than the watchdog allows would be executed again after each restart, so the
    watchdog's time has to be minutes.
    """
    upstream = server.ABCIServer._start  # noqa: SLF001

    async def report(serving: Any) -> None:
        # Upstream says nothing when it listens.
        while not (hasattr(serving, "server") and serving.server.is_serving()):  # noqa: ASYNC110
            await asyncio.sleep(LISTENS_SECONDS)
        manager.notify(READY=1)
        while True:
            manager.notify(WATCHDOG=1, STATUS="listens")
            await asyncio.sleep(manager.beat)

    async def start(self: Any) -> None:
        life = asyncio.create_task(report(self), name="life")
        try:
            await upstream(self)
        finally:
            life.cancel()

    server.ABCIServer._start = start  # noqa: SLF001


def _bound_stop(server: Any, manager: Manager) -> None:
    """Bound the app's stop to five seconds.

    The app ends whenever CometBFT does, and then waits for a database that may never answer. It
    listens no more, and yet its process is there, so nobody starts it again. Ending at once loses
    nothing: blocks are committed completely, and the index keeps a spool.
    """
    upstream = server._stop  # noqa: SLF001

    async def stop() -> None:
        manager.notify(STOPPING=1, STATUS="stops")
        timer = threading.Timer(STOP_SECONDS, _end)
        timer.daemon = True
        timer.start()
        await upstream()

    server._stop = stop  # noqa: SLF001


def _end() -> None:
    logs.say("error", f"the app has not stopped within {STOP_SECONDS:.0f} s: it ends now")
    logs.end()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
