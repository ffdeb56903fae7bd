"""The commands that use the API, and those for its tokens and its projection."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvloop

from workflow_backend_client import Client

from .. import logs
from ..client import connect, explained
from ..errors import SettingError
from ..items import STATUSES
from ..settings import Settings
from . import arguments as given


def add(commands: Any) -> None:
    """Add the commands that use the API, and those for its tokens and its projection."""
    _add_items(commands)
    _add_tokens(commands)
    _add_projection(commands)


def _add_items(commands: Any) -> None:
    items = commands.add_parser(
        "items", help="submit, read, cancel, stop and retry items through the API"
    )
    actions = items.add_subparsers(required=True, metavar="action")
    submit = actions.add_parser("submit", help="submit an item")
    submit.add_argument("item_id", type=given.item_id)
    submit.add_argument("payload_uri", type=given.plain_text)
    submit.add_argument("--kind", type=given.plain_text, default="job")
    submit.add_argument("--metadata-ref", type=given.plain_text, default="")
    submit.add_argument("--priority", type=given.priority, help="0 (first) to 9, default: 5")
    submit.add_argument(
        "--not-before",
        type=given.plain_text,
        metavar="TIME",
        help="the time before which nobody claims it, such as 2026-01-31T12:00:00Z",
    )
    submit.add_argument(
        "--after",
        type=given.item_id,
        action="append",
        default=[],
        metavar="ID",
        help="an item that has to be completed before it is claimed; may be given 8 times",
    )
    submit.set_defaults(
        run=_through_api(
            lambda api, a: api.submit(
                a.item_id,
                a.payload_uri,
                kind=a.kind,
                metadata_ref=a.metadata_ref,
                priority=a.priority,
                not_before=a.not_before,
                after=a.after,
            )
        )
    )
    get = actions.add_parser("get", help="print an item as the contract has it")
    get.add_argument("item_id", type=given.item_id)
    get.set_defaults(run=_through_api(lambda api, a: api.get(a.item_id)))
    listing = actions.add_parser("list", help="print projected items, newest first")
    listing.add_argument("--status", choices=STATUSES)
    listing.add_argument("--limit", type=given.page_size, default=20)
    listing.set_defaults(
        run=_through_api(lambda api, a: api.list_items(status=a.status, limit=a.limit))
    )
    cancel = actions.add_parser("cancel", help="cancel a submitted item")
    cancel.add_argument("item_id", type=given.item_id)
    cancel.add_argument("--reason", type=given.plain_text, default="")
    cancel.set_defaults(run=_through_api(lambda api, a: api.cancel(a.item_id, a.reason)))
    stop = actions.add_parser(
        "stop", help="cancel a submitted item, or ask the worker that holds it to stop"
    )
    stop.add_argument("item_id", type=given.item_id)
    stop.add_argument("--reason", type=given.plain_text, default="")
    stop.set_defaults(run=_through_api(lambda api, a: api.stop(a.item_id, a.reason)))
    retry = actions.add_parser("retry", help="make a failed item claimable again")
    retry.add_argument("item_id", type=given.item_id)
    retry.set_defaults(run=_through_api(lambda api, a: api.retry(a.item_id)))
    watch = actions.add_parser("watch", help="print an item's changes until it is settled")
    watch.add_argument("item_id", type=given.item_id)
    watch.add_argument(
        "--timeout", type=given.seconds, default=300.0, help="seconds (default: 300)"
    )
    watch.set_defaults(run=_watch)


def _add_tokens(commands: Any) -> None:
    tokens = commands.add_parser("tokens", help="make and remove the API's bearer tokens")
    actions = tokens.add_subparsers(required=True, metavar="action")
    add = actions.add_parser("add", help="make a token, or replace the one of its name; print it")
    add.add_argument(
        "name",
        help="name of the client, such as web-shop; web-shop.2 is another token of that client",
    )
    add.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=("read", "submit", "cancel", "admin"),
        help="what the token allows; may be repeated",
    )
    add.set_defaults(run=_tokens(lambda tokens, path, a: tokens.add(path, a.name, a.scope)))
    remove = actions.add_parser("remove", help="remove a token")
    remove.add_argument("name")
    remove.set_defaults(run=_tokens(lambda tokens, path, a: tokens.remove(path, a.name)))
    listing = actions.add_parser("list", help="print the names of all tokens and their scopes")
    listing.set_defaults(
        run=_tokens(lambda tokens, path, _: json.dumps(tokens.list_scopes(path), indent=2))
    )


def _add_projection(commands: Any) -> None:
    projection = commands.add_parser("projection", help="rebuild or verify the projection")
    actions = projection.add_subparsers(required=True, metavar="action")
    what = "build a new projection from the chain beside the one in use, then replace that"
    actions.add_parser("rebuild", help=what, description=what).set_defaults(run=_rebuild)
    what = "compare it with chain and index; print differences, exit with 1 if there are any"
    actions.add_parser("verify", help=what, description=what).set_defaults(run=_verify)


def _tokens(
    call: Callable[[Any, Path, argparse.Namespace], str | None],
) -> Callable[[argparse.Namespace], int]:
    from ..api import tokens

    def run(arguments: argparse.Namespace) -> int:
        path = os.environ.get("XIAN_WORKFLOW_TOKENS_FILE")
        if not path:
            raise SettingError("XIAN_WORKFLOW_TOKENS_FILE is not set: give the tokens' file")
        output = call(tokens, Path(path), arguments)
        if output is not None:
            print(output)
        return 0

    return run


def _through_api(
    call: Callable[[Client, argparse.Namespace], Mapping[str, Any]],
) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        with connect() as api, explained():
            answer = call(api, arguments)
        print(json.dumps(answer, indent=2))
        return 0

    return run


def _watch(arguments: argparse.Namespace) -> int:
    with connect() as api, explained():
        for item in api.watch(arguments.item_id, arguments.timeout):
            print(json.dumps(item), flush=True)
    return 0


def _rebuild(_: argparse.Namespace) -> int:
    from ..projection.rebuild import rebuild

    logs.set_up()
    print(json.dumps(uvloop.run(rebuild(Settings.load()))))
    return 0


def _verify(_: argparse.Namespace) -> int:
    from ..projection.verify import verify

    found = uvloop.run(verify(Settings.load(), sys.stdout))
    print(json.dumps(found), file=sys.stderr)
    return 1 if found["differences"] else 0
