"""No secret leaves in a text: of an error, of the log."""

import io
import json
import logging

import pytest

from workflow_backend import logs
from workflow_backend.errors import NodeUnavailable
from workflow_backend.redaction import redact


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("no answer from http://node:26657/x", "no answer from http://node:26657/x"),
        ("at https://me:hidden@node/x?key=hidden&b=1#hidden,", "at https://***@node/x?***#***"),
        ("postgresql://me:hidden@host:5432/db", "postgresql://***@host:5432/db"),
        ("host=h password=hidden dbname=d", "host=h password=*** dbname=d"),
        ("host=h password='hid den' dbname=d", "host=h password=*** dbname=d"),
        ('{"api_key": "hidden", "a": 1}', '{"api_key": ***, "a": 1}'),
        ("Authorization: Bearer hidden.hidden", "Authorization: ***"),
        ("with bearer hidden0123456789", "with bearer ***"),
        ("set XIAN_WORKFLOW_TOKENS_FILE=/etc/tokens", "set XIAN_WORKFLOW_TOKENS_FILE=/etc/tokens"),
        ("the token: give one", "the token: give one"),
        ("unexpected token 'x'", "unexpected token 'x'"),
    ],
)
def test_secrets_are_taken_out_and_nothing_else(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_error_quotes_no_secret() -> None:
    error = NodeUnavailable("no answer from the node at https://node/?key=hidden")
    assert "hidden" not in str(error) + error.explain() + repr(error)


@pytest.mark.parametrize("terminal", [True, False])
def test_log_has_no_secret_in_messages_and_tracebacks(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logs.set_up()
    try:
        int("https://node/?key=hidden")
    except ValueError:
        logging.getLogger("test").exception("at %s", "https://me:hidden@node/")
    text = stream.getvalue()
    assert "hidden" not in text
    assert "ValueError" in text
    assert terminal or json.loads(text)["message"] == "at https://***@node/"
