"""Commands for a shell: boot hosts, look at them, do to them what happens to hosts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from steps import SetupError, fail, say

from . import images, instances, network, runner, store
from .host import HostError
from .network import Network

_ON_HOST = ("start", "stop", "reboot", "kill", "pause", "resume", "cut", "mend")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        images.check_machine()
        code: int = options.do(options)
    except SetupError as trouble:
        return fail(trouble)
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return fail(SetupError("stopped", "run the same command again"))
    return code


def test(options: argparse.Namespace) -> int:
    """Run scenarios."""
    return runner.main(options.only)


def molecule(options: argparse.Namespace) -> int:
    """What Molecule asks for, with its variables."""
    {"create": instances.create, "destroy": instances.destroy}[options.stage]()
    return 0


def up(options: argparse.Namespace) -> int:
    """Boot hosts."""
    suites = dict(_pair(text) for text in options.hosts)
    booted = Network.boot(options.network, suites)
    for host in booted:
        say(f"{host.name:<12} {host.address:<16} {host.record.suite}")
    say(f"ssh -F {booted.folder / 'ssh_config'} {next(iter(suites))}")
    return 0


def down(options: argparse.Namespace) -> int:
    """Take hosts down; there may be none."""
    record = store.read(store.NETWORKS / options.network)
    if record is not None:
        network.take_down(record)
    return 0


def on_host(options: argparse.Namespace) -> int:
    """Do something to one host, or to all of a network."""
    found = Network.find(options.network)
    for name in options.hosts or found.hosts:
        getattr(found[name], options.command)()
    return 0


def ssh(options: argparse.Namespace) -> int:
    """Become an SSH session."""
    found = Network.find(options.network)
    config = str(found.folder / "ssh_config")
    command = ["ssh", "-F", config, found[options.host].name, *options.words]
    os.execvp("ssh", command)  # noqa: S606


def list_all(_: argparse.Namespace) -> int:
    """Say which hosts there are."""
    for record in store.records():
        left = " (nobody uses it any more)" if record.is_left else ""
        say(f"{record.name}: {record.subnet}{left}")
        for host in Network(record):
            say(f"  {host.name:<12} {host.address:<16} {'up' if host.is_up else 'down'}")
    return 0


def clean(options: argparse.Namespace) -> int:
    """Take down what interrupted runs left."""
    for name in network.clean(everything=options.all):
        say(f"{name} taken down")
    if options.all:
        store.remove_tree(images.IMAGES)
    return 0


def make_images(_: argparse.Namespace) -> int:
    """Make the images that hosts are booted from."""
    for suite in images.SUITES:
        image = images.make(suite)
        say(f"{suite}: {image}, {images.size(image) >> 20} MiB")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, _, suite = text.partition("=")
    return name, suite or images.SUITES[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")

    def command(name: str, do: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.set_defaults(do=do)
        return made

    made = command("up", up, "boot hosts and wait for them: up NETWORK one=bookworm two=forky")
    made.add_argument("network", type=store.name_of)
    made.add_argument("hosts", nargs="+", metavar="NAME[=SUITE]")
    command("down", down, "take all hosts of a network down").add_argument(
        "network", type=store.name_of
    )
    for name in _ON_HOST:
        made = command(name, on_host, f"{name} hosts of a network, all of them if none is named")
        made.add_argument("network", type=store.name_of)
        made.add_argument("hosts", nargs="*")
    made = command("ssh", ssh, "a shell on a host, or one command")
    made.add_argument("network", type=store.name_of)
    made.add_argument("host")
    made.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    made = command("molecule", molecule, "what Molecule's playbooks call")
    made.add_argument("stage", choices=["create", "destroy"])
    made = command("test", test, "run scenarios: those that are named, or all")
    made.add_argument("only", nargs="*", metavar="ROLE|SCENARIO")
    command("list", list_all, "which hosts there are")
    command("images", make_images, "make the images that hosts are booted from")
    made = command("clean", clean, "take down what interrupted runs left")
    made.add_argument("--all", action="store_true", help="what is in use as well, and images")
    return parser


if __name__ == "__main__":
    sys.exit(main())
