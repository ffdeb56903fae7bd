"""No secret leaves in a text: of an error, of the log."""

import io
import json
import logging
import time

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
        ("postgresql://me:hid@den@host/db", "postgresql://***@host/db"),
        ("postgresql://me:hid/den@host/db", "postgresql://***@host/db"),
        ("at http://node:26657/a@b and", "at http://node:26657/a@b and"),
        (r"host=h password='hid\'den' dbname=d", "host=h password=*** dbname=d"),
        (r'{"password": "hid\"den", "a": 1}', '{"password": ***, "a": 1}'),
        (r"body {\"password\": \"hidden\", \"a\": 1}", r"body {\"password\": ***, \"a\": 1}"),
        ("PGPASSWORD=hidden psql", "PGPASSWORD=*** psql"),
        ("X-Api-Key: hidden, Accept: x", "X-Api-Key: ***, Accept: x"),
        ("Set-Cookie: sid=hidden; Path=/", "Set-Cookie: ***"),
        ("no client has xwb_hidden0123456789-_hidden", "no client has ***"),
        ("-----BEGIN PRIVATE KEY-----\nhidden\nhidden\n", "-----BEGIN PRIVATE KEY-----***"),
        ("set XIAN_WORKFLOW_TOKENS_FILE=/etc/tokens", "set XIAN_WORKFLOW_TOKENS_FILE=/etc/tokens"),
        ("the token: give one", "the token: give one"),
        ("token: hidden", "token: ***"),
        ("a: 1\npassword: hidden\nb: 2", "a: 1\npassword: ***\nb: 2"),
        ("{token: hidden, a: 1}", "{token: ***, a: 1}"),
        ("password: hidden user: me", "password: *** user: me"),
        ("psql --password hidden --host h", "psql --password *** --host h"),
        ("x --db-password='hid den' y", "x --db-password=*** y"),
        ("x --api-token 'hid den' y", "x --api-token *** y"),
        ("give --token --verbose", "give --token --verbose"),
        ("seed=hidden&a=1", "seed=***&a=1"),
        ("XIAN_WALLET_SEED=hidden", "XIAN_WALLET_SEED=***"),
        ("seed phrase: hidden hidden hidden\nnext", "seed phrase: ***\nnext"),
        ("mnemonic=hidden hidden", "mnemonic=***"),
        ("persistent seeds=a@b", "persistent seeds=a@b"),
        ("unexpected token 'x'", "unexpected token 'x'"),
    ],
)
def test_redaction_removes_secrets_only(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "part",
    [
        "a-",
        "password",
        'password="',
        "secret='\\",
        r"token=\"",
        "x@",
        "http://a:",
        "cookie:",
        "\\",
        "password: ",
        "--password ",
        "--a-",
        "mnemonic: ",
    ],
)
def test_redaction_takes_linear_time(part: str) -> None:
    """Ten times the text takes ten times as long; who tries all beginnings takes a hundred."""

    def took(times: int) -> float:
        text = 'password="' + part * (times // len(part))
        began = time.process_time()
        redact(text)
        return time.process_time() - began

    took(1_000)
    short = min(took(6_000) for _ in range(5))
    assert took(60_000) < 40 * max(short, 0.001)


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
