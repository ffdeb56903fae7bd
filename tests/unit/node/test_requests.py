"""A program of the node answers what it is asked in a line, whatever that is."""

import io
from pathlib import Path

import pytest

from workflow_backend_node import requests


def fault(request: requests.Object, check: bool) -> requests.Object:  # noqa: ARG001
    return {"found": request["one"]["two"]}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("", "not JSON in UTF-8"),
        ("\udcff", "not JSON in UTF-8"),
        ("[]", "not a JSON object"),
        ("7", "not a JSON object"),
        ("[" * 200_000, "nested too deeply"),
        ('{"one": 2}', "a fault of this program, please report it: TypeError"),
        ("{}", "(test_requests.py, line"),
    ],
)
def test_request_that_fails_has_a_reason_in_one_line(
    request_: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = request_.encode(errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    monkeypatch.setattr("sys.argv", [str(Path(__file__))])
    assert requests.run(fault) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
