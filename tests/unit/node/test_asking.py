"""A program of the node answers what it is asked in a line, whatever that is."""

import io
from pathlib import Path

import pytest

from workflow_backend_node import asking


def fault(request: asking.Object, check: bool) -> asking.Object:  # noqa: ARG001
    return {"found": request["one"]["two"]}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("", "not JSON in UTF-8"),
        ("\udcff", "not JSON in UTF-8"),
        ("[]", "no JSON object"),
        ("7", "no JSON object"),
        ("[" * 200_000, "nested too deeply"),
        ('{"one": 2}', "a fault of this program, please report it: TypeError"),
        ("{}", "(test_asking.py, line"),
    ],
)
def test_whatever_is_asked_the_reason_is_a_line(
    request_: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = request_.encode(errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    monkeypatch.setattr("sys.argv", [str(Path(__file__))])
    assert asking.run(fault) == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
