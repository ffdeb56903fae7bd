"""The command `workflow-backend`."""

import argparse
import asyncio
import errno
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from . import __version__, logs, notify
from .client import ApiClient
from .errors import SettingError, WorkflowError
from .settings import HandlersSettings, Settings

type Service = Callable[[Settings, asyncio.Event], Awaitable[None]]


def main() -> None:
    """Run one command and exit: 0 when it did what was asked, 1 when not, 2 on a wrong call."""
    arguments = _parser().parse_args()
    try:
        sys.exit(arguments.run(arguments))
    except* BrokenPipeError:
        # Whoever read our output has gone, as `head` does: there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except* (WorkflowError, OSError, sqlite3.Error) as group:
        for error in _leaves(group):
            logs.complain(_explain(error))
        sys.exit(1)
    except* KeyboardInterrupt:
        sys.exit(130)


def _leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS}


def _explain(error: Exception) -> str:
    if isinstance(error, WorkflowError):
        return error.explain()
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, sqlite3.Error) or (isinstance(error, OSError) and error.errno in _DISK):
        return f"{said} (is there room on the disk, and may this account write there?)"
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workflow-backend", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, what in (
        ("processor", _processor, "claim submitted items, run their handlers, report"),
        ("handlers", _handlers, "run the handlers of items, for processors on this host"),
        ("projector", _projector, "turn indexed events into the local projection"),
        ("api", _api, "serve the HTTP API"),
    ):
        commands.add_parser(name, help=what, description=what).set_defaults(run=run)
    _add_events(commands)
    _add_items(commands)
    _add_tokens(commands)
    _add_projection(commands)
    _add_operations(commands)
    _add_operator(commands)
    _add_release(commands)
    return parser


def _add_events(commands: Any) -> None:
    what = "follow the contract's events and print one JSON object a line"
    events = commands.add_parser("events", help=what, description=what)
    events.add_argument(
        "--cursor",
        type=Path,
        help="file that keeps the place, so that a restart goes on behind the last line "
        "(default: events.cursor.json in XIAN_WORKFLOW_STATE_DIR)",
    )
    events.set_defaults(run=_events)


def _add_tokens(commands: Any) -> None:
    tokens = commands.add_parser("tokens", help="make and remove the API's bearer tokens")
    actions = tokens.add_subparsers(required=True, metavar="action")
    add = actions.add_parser("add", help="make a token, or a new one of that name, and print it")
    add.add_argument("name")
    add.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=("read", "submit", "cancel", "admin"),
        help="what it may do; give it several times for several",
    )
    add.set_defaults(run=_tokens(lambda tokens, path, a: tokens.add(path, a.name, a.scope)))
    remove = actions.add_parser("remove", help="remove a token")
    remove.add_argument("name")
    remove.set_defaults(run=_tokens(lambda tokens, path, a: tokens.remove(path, a.name)))
    listing = actions.add_parser("list", help="print the names of all tokens and their scopes")
    listing.set_defaults(
        run=_tokens(lambda tokens, path, _: json.dumps(tokens.listed(path), indent=2))
    )


def _add_items(commands: Any) -> None:
    items = commands.add_parser(
        "items", help="submit, read, cancel and retry items through the API"
    )
    actions = items.add_subparsers(required=True, metavar="action")
    submit = actions.add_parser("submit", help="submit an item")
    submit.add_argument("item_id")
    submit.add_argument("payload_uri")
    submit.add_argument("--kind", default="job")
    submit.add_argument("--metadata-ref", default="")
    submit.set_defaults(
        run=_through_api(
            lambda api, a: api.submit(a.item_id, a.payload_uri, a.kind, a.metadata_ref)
        )
    )
    get = actions.add_parser("get", help="print an item as the contract has it")
    get.add_argument("item_id")
    get.set_defaults(run=_through_api(lambda api, a: api.item(a.item_id)))
    listing = actions.add_parser("list", help="print projected items, newest first")
    listing.add_argument("--status")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(run=_through_api(lambda api, a: api.items(a.status, a.limit)))
    cancel = actions.add_parser("cancel", help="cancel a submitted item")
    cancel.add_argument("item_id")
    cancel.add_argument("--reason", default="")
    cancel.set_defaults(run=_through_api(lambda api, a: api.cancel(a.item_id, a.reason)))
    retry = actions.add_parser("retry", help="make a failed item claimable again")
    retry.add_argument("item_id")
    retry.set_defaults(run=_through_api(lambda api, a: api.retry(a.item_id)))
    watch = actions.add_parser("watch", help="print an item's changes until it is settled")
    watch.add_argument("item_id")
    watch.add_argument("--timeout", type=float, default=300.0, help="seconds (default: 300)")
    watch.set_defaults(run=_watch)


def _add_projection(commands: Any) -> None:
    projection = commands.add_parser("projection", help="make the projection anew, or check it")
    actions = projection.add_subparsers(required=True, metavar="action")
    what = "make it anew from the chain beside the one in use, then put it in its place"
    actions.add_parser("rebuild", help=what, description=what).set_defaults(run=_rebuild)
    what = "compare it with chain and index; prints each difference, exits 1 where there is one"
    actions.add_parser("verify", help=what, description=what).set_defaults(run=_verify)


def _add_release(commands: Any) -> None:
    release = commands.add_parser("release", help="build what hosts are given")
    actions = release.add_subparsers(required=True, metavar="action")
    what = "build the release of the clone in this folder: one archive with all that a host runs"
    build = actions.add_parser("build", help=what, description=what)
    build.add_argument("--out", type=Path, metavar="DIR", help="where to (default: dist)")
    build.add_argument(
        "--root",
        type=Path,
        default=Path("/opt/workflow-backend"),
        help="the folder that it will work in on every host (default: /opt/workflow-backend)",
    )
    build.add_argument(
        "--keep", type=int, default=4, metavar="N", help="earlier releases that stay (default: 4)"
    )
    build.add_argument(
        "--consensus-compatible-with",
        action="append",
        default=[],
        metavar="ID",
        help="declare that its nodes agree on every block with those of this release, so that "
        "hosts may go from the one to the other one at a time; may be given again",
    )
    build.set_defaults(run=_build)


def _add_operations(commands: Any) -> None:
    what = "make the wallets that are missing, NAME.key in a folder"
    wallets = commands.add_parser("wallets", help=what, description=what)
    wallets.add_argument("directory", type=Path)
    wallets.add_argument("names", nargs="+", metavar="name")
    wallets.add_argument("--check", action="store_true", help="only say what would be done")
    wallets.set_defaults(run=_wallets)
    what = "judge an inventory and its hosts, which are told on standard input as JSON"
    preflight = commands.add_parser("preflight", help=what, description=what)
    preflight.add_argument("--check", action="store_true", help="there need not be a network yet")
    preflight.set_defaults(run=_preflight)
    what = "deploy the contract, add workers, fund wallets; safe to run again"
    bootstrap = commands.add_parser("bootstrap", help=what, description=what)
    bootstrap.add_argument("--check", action="store_true", help="only say what would be done")
    bootstrap.add_argument(
        "--contract-source",
        metavar="PATH",
        help="the contract's source (default: XIAN_WORKFLOW_CONTRACT_SOURCE)",
    )
    bootstrap.set_defaults(run=_bootstrap)
    what = "check everything that runs on this host; exits 1 where anything is wrong"
    health = commands.add_parser("health", help=what, description=what)
    health.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the checks as JSON too; - is standard output, the table is on the other one",
    )
    health.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="wait until all is well"
    )
    health.set_defaults(run=_health)
    what = "send one item through the whole backend and time each step"
    smoke = commands.add_parser("smoke", help=what, description=what)
    smoke.add_argument("--item", metavar="ID", help="follow this one if it is there (default: new)")
    smoke.add_argument("--timeout", type=float, default=60.0, help="seconds a step (default: 60)")
    smoke.set_defaults(run=_smoke)
    what = "make, verify and restore snapshots; the request is JSON on standard input"
    snapshots = commands.add_parser("snapshots", help=what, description=what)
    snapshots.add_argument("action", choices=_SNAPSHOTS)
    snapshots.add_argument("--check", action="store_true", help="only say what would be done")
    snapshots.set_defaults(run=_snapshots)
    what = "plan and watch a change of what hosts run; the request is JSON on standard input"
    upgrades = commands.add_parser("upgrades", help=what, description=what)
    upgrades.add_argument("action", choices=_UPGRADES)
    upgrades.add_argument("--check", action="store_true", help="as without: nothing is changed")
    upgrades.set_defaults(run=_upgrades)
    what = "bring a lost node back without signing twice; the request is JSON on standard input"
    recovery = commands.add_parser("recovery", help=what, description=what)
    recovery.add_argument("action", choices=_RECOVERY)
    recovery.add_argument("--check", action="store_true", help="only say what would be done")
    recovery.set_defaults(run=_recovery)
    what = "print heights, items by status and the services' heartbeats"
    commands.add_parser("status", help=what, description=what).set_defaults(run=_status)


def _add_operator(commands: Any) -> None:
    operator = commands.add_parser("operator", help="hand the contract's operator role over")
    actions = operator.add_subparsers(required=True, metavar="action")
    what = "offer the role to an account, with the operator's key; it stays until that one accepts"
    propose = actions.add_parser("propose", help=what, description=what)
    propose.add_argument("account", help="public key, 64 hexadecimal digits")
    propose.set_defaults(run=_operator(lambda operator, s, a: operator.propose(s, a.account)))
    what = "take the role, with the key of the account that it was offered to"
    accept = actions.add_parser("accept", help=what, description=what)
    accept.set_defaults(run=_operator(lambda operator, s, _: operator.accept(s)))


_SNAPSHOTS = (
    *("make", "list", "prune", "sign", "agree", "verify", "drill"),
    *("prepare", "status", "swap", "finish", "undo", "projection", "levels"),
)
_UPGRADES = ("plan", "verb", "take-down", "well", "rest", "stopped", "note")
_RECOVERY = ("gate", "new-home", "home", "trust", "sync", "index-now", "index", "note")


def _service(run: Service) -> int:
    logs.set_up()
    settings = Settings.load()

    async def until_stopped() -> None:
        await run(settings, _stop_at_signals())

    uvloop.run(until_stopped())
    return 0


def _stop_at_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def end() -> None:
        notify.tell(STOPPING=1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    return stop


# The services are imported only when asked for: a command of a second should not load them all.


def _processor(_: argparse.Namespace) -> int:
    from .processor.service import run

    return _service(run)


def _handlers(_: argparse.Namespace) -> int:
    from .processor.handlers.server import run

    logs.set_up()
    settings = HandlersSettings.load()

    async def until_stopped() -> None:
        await run(settings, _stop_at_signals())

    # The standard loop: this process lives with programs and pipes, which are its strength.
    asyncio.run(until_stopped())
    return 0


def _projector(_: argparse.Namespace) -> int:
    from .projection.service import run

    return _service(run)


def _api(_: argparse.Namespace) -> int:
    from .api.service import run

    return _service(run)


def _events(arguments: argparse.Namespace) -> int:
    from .chain.follow import follow

    def run(settings: Settings, stop: asyncio.Event) -> Awaitable[None]:
        cursor = arguments.cursor or settings.state_dir / "events.cursor.json"
        return follow(settings, cursor, sys.stdout, stop)

    return _service(run)


def _tokens(
    call: Callable[[Any, Path, argparse.Namespace], str | None],
) -> Callable[[argparse.Namespace], int]:
    from .api import tokens

    def run(arguments: argparse.Namespace) -> int:
        path = os.environ.get("XIAN_WORKFLOW_TOKENS_FILE")
        if not path:
            raise SettingError("XIAN_WORKFLOW_TOKENS_FILE is not set: give the tokens' file")
        said = call(tokens, Path(path), arguments)
        if said is not None:
            print(said)
        return 0

    return run


def _through_api(
    call: Callable[[ApiClient, argparse.Namespace], dict[str, Any]],
) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        print(json.dumps(call(ApiClient.from_environment(), arguments), indent=2))
        return 0

    return run


def _watch(arguments: argparse.Namespace) -> int:
    for item in ApiClient.from_environment().watch(arguments.item_id, arguments.timeout):
        print(json.dumps(item), flush=True)
    return 0


def _wallets(arguments: argparse.Namespace) -> int:
    from .operations.wallets import make_wallets

    made = make_wallets(arguments.directory, arguments.names, check=arguments.check)
    print(json.dumps(made))
    return 0


def _preflight(arguments: argparse.Namespace) -> int:
    try:
        from .operations.preflight import preflight
    except ModuleNotFoundError as error:
        raise SettingError(
            f"preflight needs {error.name}, which this environment lacks",
            hint="run it on the control machine, where Ansible is",
        ) from None
    from .operations import asking

    print(json.dumps(preflight(asking.read(sys.stdin), rehearsal=arguments.check)))
    return 0


def _rebuild(_: argparse.Namespace) -> int:
    from .projection.rebuild import rebuild

    logs.set_up()
    print(json.dumps(uvloop.run(rebuild(Settings.load()))))
    return 0


def _verify(_: argparse.Namespace) -> int:
    from .projection.verify import verify

    found = uvloop.run(verify(Settings.load(), sys.stdout))
    print(json.dumps(found), file=sys.stderr)
    return 1 if found["differences"] else 0


def _build(arguments: argparse.Namespace) -> int:
    from .operations.release.build import build

    built = build(
        Path.cwd(),
        arguments.out,
        arguments.root.absolute(),
        arguments.keep,
        arguments.consensus_compatible_with,
    )
    print(json.dumps(built))
    return 0


def _bootstrap(arguments: argparse.Namespace) -> int:
    from .operations.bootstrap import bootstrap
    from .operations.tunnel import reached

    given = arguments.contract_source
    source = {"XIAN_WORKFLOW_CONTRACT_SOURCE": given} if given else {}
    with reached(Settings.load(os.environ | source)) as settings:
        print(json.dumps(bootstrap(settings, check=arguments.check)))
    return 0


def _operator(
    call: Callable[[Any, Settings, argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]],
) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from .operations import operator
        from .operations.tunnel import reached

        with reached(Settings.load()) as settings:
            print(json.dumps(asyncio.run(call(operator, settings, arguments))))
        return 0

    return run


def _health(arguments: argparse.Namespace) -> int:
    from .operations import health, judge

    settings = Settings.load()
    checks = asyncio.run(health.wait_for_health(settings, arguments.wait))
    report = json.dumps(health.as_json(settings, checks))
    to_stdout = arguments.json == Path("-")
    if to_stdout:
        print(report)
    elif arguments.json:
        arguments.json.write_text(report + "\n", encoding="utf-8")
    print(judge.table(checks), file=sys.stderr if to_stdout else sys.stdout)
    return 0 if judge.all_well(checks) else 1


def _smoke(arguments: argparse.Namespace) -> int:
    from .operations.smoke import smoke

    result = smoke(ApiClient.from_environment(), arguments.item, arguments.timeout)
    print(json.dumps(result))
    if not result["ok"]:
        line = f"{result['failed']} failed: {result['error']} ({result['hint']})"
        print(f"workflow-backend: {line}", file=sys.stderr)
    return 0 if result["ok"] else 1


def _snapshots(arguments: argparse.Namespace) -> int:
    from .operations import asking
    from .operations.snapshots.actions import act

    answer = act(arguments.action, asking.read(sys.stdin), check=arguments.check)
    print(json.dumps(answer, sort_keys=True))
    return 0


def _upgrades(arguments: argparse.Namespace) -> int:
    from .operations import asking
    from .operations.upgrades.actions import act

    print(json.dumps(act(arguments.action, asking.read(sys.stdin))))
    return 0


def _recovery(arguments: argparse.Namespace) -> int:
    from .operations import asking
    from .operations.recovery.actions import act

    answer = act(arguments.action, asking.read(sys.stdin), check=arguments.check)
    print(json.dumps(answer, sort_keys=True))
    return 0


def _status(_: argparse.Namespace) -> int:
    from .operations.status import status

    print(json.dumps(asyncio.run(status(Settings.load())), indent=2))
    return 0
