"""An account is in the groups that the deployment gives it, and in none that it took away."""

import grp
from types import SimpleNamespace

import pytest

from .loading import module

accounts = module("systemd_accounts")


def text(*groups: str) -> str:
    given = [{"name": "example", "groups": list(groups), "home": "/"}]
    made: str = accounts.users_text(given)
    return made


def test_what_an_earlier_deployment_gave_is_taken_away() -> None:
    assert accounts.taken_away(text("index", "clients"), text("clients")) == [("example", "index")]
    assert accounts.taken_away(text("clients"), text("clients", "index")) == []
    assert accounts.taken_away("", text("clients")) == []
    assert accounts.taken_away(text("clients"), "") == [("example", "clients")]


def test_only_who_is_still_a_member_has_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"index": SimpleNamespace(gr_mem=["example"])}
    monkeypatch.setattr(grp, "getgrnam", groups.__getitem__)
    assert accounts.is_member("example", "index") is True
    assert accounts.is_member("other", "index") is False
    assert accounts.is_member("example", "gone") is False
