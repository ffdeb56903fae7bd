"""Whatever a command is given, it ends with a line for a person and never with a traceback."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_backend import cli
from workflow_backend.cli import recovery

NOWHERE = "http://127.0.0.1:9"
type Run = Callable[[list[str], str], dict[str, Any]]

# What a shell can hand over: everything but NUL, bytes that are not UTF-8 among it.
ODD = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    | st.integers(0x80, 0xFF).map(lambda byte: chr(0xDC00 + byte)),
    max_size=40,
)
NASTY = st.sampled_from(
    ["", " ", "-", "-1", "nan", "-inf", "1e999", "9" * 5000, "x" * 100_000, "%s%(prog)s{}"]
)
PLAIN = st.sampled_from(["item-1", "job", "completed", "a" * 64, "A" * 64, "5", "0.1", "urn:x"])
# A path stays in the folder of the test: some commands write there.
PATHS = st.sampled_from(["here", "a name", "\udcff", "\x1b[31m", "x" * 300, "-"])
REQUESTS = st.one_of(
    ODD,
    st.sampled_from(["[" * 100_000, "[" * 100_000 + "]" * 100_000, "9" * 5000, '"\\ud800"', "{}"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=9), part),
        max_leaves=8,
    ).map(json.dumps),
)


def leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command with its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from leaves(inner, (*words, name))
            return
    yield words, parser


COMMANDS = {
    words: parser
    for called in (None, *recovery.GROUPS)
    for words, parser in leaves(cli._parser(called))
    if words not in [(group,) for group in recovery.GROUPS]
}


@st.composite
def calls(draw: st.DrawFn, words: tuple[str, ...]) -> list[str]:
    """A call of a command: its arguments in their number, and what they hold by chance."""
    call = list(words)
    for action in COMMANDS[words]._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        if action.option_strings:
            if not action.required and draw(st.booleans()):
                continue
            call.append(action.option_strings[0])
        if action.nargs == 0:
            continue
        if action.type is Path:
            call.append(draw(PATHS))
        elif action.choices is not None:
            call.append(draw(st.sampled_from(list(action.choices)) | ODD))
        elif action.dest == "wait":
            call.append(draw(st.sampled_from(["0", "0.1", "nan", "-1", "soon"])))
        else:
            call.append(draw(PLAIN | NASTY | ODD))
    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a command where neither node nor API is."""
    folder = tmp_path_factory.mktemp("commands")
    environment = {name: text for name, text in os.environ.items() if "XIAN" not in name} | {
        "XIAN_NODE_URL": NOWHERE,
        "XIAN_CHAIN_ID": "nowhere-1",
        "XIAN_WORKFLOW_API_URL": NOWHERE,
        "XIAN_WALLET_PRIVATE_KEY": "5" * 64,
        "XIAN_WORKFLOW_TOKENS_FILE": "tokens.json",
        "XIAN_WORKFLOW_CONTRACT_SOURCE": "here",
    }
    driver = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("driver.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert driver.stdin is not None
    assert driver.stdout is not None

    def ask(argv: list[str], stdin: str) -> dict[str, Any]:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(json.dumps({"argv": argv, "stdin": stdin}) + "\n")
        driver.stdin.flush()
        answer: dict[str, Any] = json.loads(driver.stdout.readline())
        return answer

    yield ask
    driver.stdin.close()
    driver.wait(timeout=30)
    driver.stdout.close()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_ends_with_a_line_whatever_it_is_given(words: tuple[str, ...], run: Run) -> None:
    given_anything = len(COMMANDS[words]._actions) > 1

    @settings(
        max_examples=12 if given_anything else 2,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(call=calls(words), stdin=REQUESTS)
    def ends(call: list[str], stdin: str) -> None:
        done = run(call, stdin)
        assert done["code"] in (0, 1, 2), done
        assert "Traceback" not in done["err"], done
        assert "fault of this program" not in done["err"], done
        if done["code"]:
            assert done["err"].strip(), call
        assert all(sign.isprintable() or sign == "\n" for sign in done["err"]), done

    ends()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["items", "get", ""], "an item's id is 1 to 128"),
        (["items", "watch", ""], "an item's id is 1 to 128"),
        (["items", "watch", "\udcff"], "an item's id is 1 to 128"),
        (["items", "submit", "a", "\udcff"], "it is not UTF-8"),
        (["items", "list", "--status", "stauts"], "invalid choice"),
        (["items", "list", "--limit", "0"], "a number from 1 to 500"),
        (["items", "watch", "a", "--timeout", "nan"], "a number of seconds"),
        (["operator", "propose", "xyz"], "a public key of 64 hexadecimal digits, not 'xyz'"),
    ],
)
def test_wrong_call_is_explained(call: list[str], message: str, run: Run) -> None:
    done = run(call, "")
    assert done["code"] == 2
    assert message in done["err"]


@pytest.mark.parametrize("group", recovery.GROUPS)
def test_help_names_every_action_that_playbooks_may_ask_for(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = import_module(f"workflow_backend.operations.{group}.actions")
    with pytest.raises(SystemExit, match="0"):
        cli._parser(group).parse_args([group, "--help"])
    assert set(registry.ACTIONS) <= set(capsys.readouterr().out.split())


def test_a_request_that_can_not_be_one_is_refused(run: Run) -> None:
    for stdin, message in (("[" * 100_000, "nested too deeply"), ("[]", "not a JSON object")):
        done = run(["snapshots", "list"], stdin)
        assert done["code"] == 1
        assert message in done["err"]
