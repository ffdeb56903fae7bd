"""What an operator does to a deployment, by hand or by the playbooks."""

import argparse
import asyncio
import importlib
import json
import os
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from .. import logs
from ..client import connect
from ..errors import SettingError
from ..settings import Settings
from . import arguments as given


def add(commands: Any) -> None:
    """Add the commands of operators."""
    what = "create the wallets that are missing in a folder, as NAME.key"
    wallets = commands.add_parser("wallets", help=what, description=what)
    wallets.add_argument("directory", type=Path)
    wallets.add_argument("names", nargs="+", metavar="name")
    wallets.add_argument("--check", action="store_true", help="only say what would be done")
    wallets.set_defaults(run=_wallets)
    what = "check an inventory and its hosts, given as JSON on standard input"
    preflight = commands.add_parser("preflight", help=what, description=what)
    preflight.add_argument("--check", action="store_true", help="allow a missing network folder")
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
    what = "check everything that runs on this host; exits with 1 if anything is wrong"
    health = commands.add_parser("health", help=what, description=what)
    health.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the checks as JSON too; with - to standard output, the table to standard error",
    )
    health.add_argument(
        "--wait",
        type=given.seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait up to so long until every check passes",
    )
    health.set_defaults(run=_health)
    what = "send one item through the whole backend and time each step"
    smoke = commands.add_parser("smoke", help=what, description=what)
    smoke.add_argument(
        "--item",
        type=given.item_id,
        metavar="ID",
        help="follow the item with this id that an earlier smoke test sent, or send it "
        "(default: a new item)",
    )
    smoke.add_argument(
        "--timeout", type=given.seconds, default=60.0, help="seconds for each step (default: 60)"
    )
    smoke.set_defaults(run=_smoke)
    what = "print heights, items by status and the services' heartbeats"
    commands.add_parser("status", help=what, description=what).set_defaults(run=_status)
    _add_operator(commands)


def _add_operator(commands: Any) -> None:
    operator = commands.add_parser(
        "operator",
        help="pause claims, set the retention, or hand over the contract's operator role",
    )
    actions = operator.add_subparsers(required=True, metavar="action")
    what = "offer the role to an account, with the operator's key; it moves once that one accepts"
    propose = actions.add_parser("propose", help=what, description=what)
    propose.add_argument("account", type=given.account, help="public key, 64 hexadecimal digits")
    propose.set_defaults(run=_operator(lambda operator, s, a: operator.propose(s, a.account)))
    what = "accept the role, with the key of the account that it was offered to"
    accept = actions.add_parser("accept", help=what, description=what)
    accept.set_defaults(run=_operator(lambda operator, s, _: operator.accept(s)))
    _add_pauses(actions)


def _add_pauses(actions: Any) -> None:
    what = "refuse claims of a kind of items; items that workers hold go on"
    pause = actions.add_parser("pause", help=what, description=what)
    pause.add_argument("kind", type=given.kind, help="* for all kinds")
    pause.add_argument("--reason", type=given.plain_text, default="")
    pause.add_argument(
        "--seconds",
        type=given.seconds,
        default=0.0,
        help="end the pause after so long (default: only when it is resumed)",
    )
    pause.set_defaults(run=_pauses(lambda of, s, a: of.pause(s, a.kind, a.reason, a.seconds)))
    what = "allow claims of a paused kind again"
    resume = actions.add_parser("resume", help=what, description=what)
    resume.add_argument("kind", type=given.kind, help="as it was given to pause")
    resume.set_defaults(run=_pauses(lambda of, s, a: of.resume(s, a.kind)))
    what = "print the pauses and the retention"
    pauses = actions.add_parser("pauses", help=what, description=what)
    pauses.set_defaults(run=_pauses(lambda of, s, _: of.pauses(s)))
    what = "set after how many seconds ended items may be archived; 0 is never"
    retention = actions.add_parser("retention", help=what, description=what)
    retention.add_argument("seconds", type=given.seconds)
    retention.set_defaults(run=_pauses(lambda of, s, a: of.set_retention(s, a.seconds)))


def _wallets(arguments: argparse.Namespace) -> int:
    from ..operations.wallets import make_wallets

    made = make_wallets(arguments.directory, arguments.names, check=arguments.check)
    print(json.dumps(made))
    return 0


def _preflight(arguments: argparse.Namespace) -> int:
    try:
        from ..operations.preflight import preflight
    except ModuleNotFoundError as error:
        raise SettingError(
            f"preflight needs {error.name}, which this environment lacks",
            hint="run it on the control machine, where Ansible is",
        ) from None
    from ..api import token_file
    from ..operations import requests
    from ..processor.handlers import configuration

    # Programs and modules are looked for on the host, where they have to be.
    read_handlers = partial(configuration.load, elsewhere=True)
    request = requests.read(sys.stdin)
    answer = preflight(
        request,
        rehearsal=arguments.check,
        read_handlers=read_handlers,
        check_token=token_file.require,
    )
    print(json.dumps(answer))
    return 0


def _bootstrap(arguments: argparse.Namespace) -> int:
    from ..operations.bootstrap import bootstrap
    from ..operations.tunnel import reached

    given = arguments.contract_source
    source = {"XIAN_WORKFLOW_CONTRACT_SOURCE": given} if given else {}
    with reached(Settings.load(os.environ | source)) as settings:
        print(json.dumps(bootstrap(settings, check=arguments.check)))
    return 0


type _AsOperator = Callable[
    [Any, Settings, argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]
]
"""Calls a module's function with the settings and the command's arguments."""


def _operator(call: _AsOperator) -> Callable[[argparse.Namespace], int]:
    return partial(_as_operator, "operator", call)


def _pauses(call: _AsOperator) -> Callable[[argparse.Namespace], int]:
    return partial(_as_operator, "claim_pauses", call)


def _as_operator(module: str, call: _AsOperator, arguments: argparse.Namespace) -> int:
    from ..operations.tunnel import reached

    of = importlib.import_module(f"..operations.{module}", __package__)
    with reached(Settings.load()) as settings:
        print(json.dumps(asyncio.run(call(of, settings, arguments))))
    return 0


def _health(arguments: argparse.Namespace) -> int:
    from ..operations import health

    settings = Settings.load()
    checks = asyncio.run(health.wait_for_health(settings, arguments.wait))
    report = json.dumps(health.as_json(settings, checks))
    to_stdout = arguments.json == Path("-")
    if to_stdout:
        print(report)
    elif arguments.json:
        try:
            arguments.json.write_text(report + "\n", encoding="utf-8")
        except OSError as error:
            raise SettingError(
                f"--json {arguments.json} can't be written: {error.strerror}",
                hint="give a file in a folder that exists and that you may write to, or -",
            ) from None
    print(health.table(checks), file=sys.stderr if to_stdout else sys.stdout)
    return 0 if health.all_healthy(checks) else 1


def _smoke(arguments: argparse.Namespace) -> int:
    from ..operations.smoke import smoke

    with connect() as api:
        result = smoke(api, arguments.item, arguments.timeout)
    print(json.dumps(result))
    if not result["ok"]:
        logs.complain(f"{result['failed']} failed: {result['error']} ({result['hint']})")
    return 0 if result["ok"] else 1


def _status(_: argparse.Namespace) -> int:
    from ..operations.status import status

    print(json.dumps(asyncio.run(status(Settings.load())), indent=2))
    return 0
