"""The checks that failed, in a sentence each."""

import json

from tests.unit.modules.loading import filters

failed_checks = filters("failed_checks")["failed_checks"]


def test_failed_checks_are_named_with_what_to_do() -> None:
    checks = [
        {"name": "node", "state": "ok", "what": "fine", "hint": ""},
        {"name": "api", "state": "failed", "what": "it does not answer", "hint": "start it"},
    ]
    assert failed_checks(json.dumps({"checks": checks})) == ["api: it does not answer (start it)"]


def test_health_that_printed_nothing_has_no_checks() -> None:
    assert failed_checks("") == []
