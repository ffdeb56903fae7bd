"""Texts of handlers, made fit for the chain."""

import time

from workflow_backend.processor.handlers.public_text import MAX_REASON, describe, public


def test_public_text_is_redacted_before_it_is_cut() -> None:
    text = "x" * (MAX_REASON - 20) + " https://user:secret-of-mine@host/"
    assert "secret" not in public(text, MAX_REASON)


def test_public_text_may_be_of_any_length_and_take_no_time() -> None:
    begun = time.process_time()
    for part in ("a-", "http://", "token", "x.y:", "\n"):
        assert len(public(part * 5_000_000, MAX_REASON)) <= MAX_REASON
    assert time.process_time() - begun < 20


def test_describe_needs_no_text() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise KeyError

    assert describe(MuteError()) == "MuteError"
    assert describe(ValueError()) == "ValueError"
    assert describe(ValueError("x")) == "ValueError: x"
