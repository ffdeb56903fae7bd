"""The rate limit, as a client meets it and by itself."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_backend.api import rate_limit, tokens
from workflow_backend.api.rate_limit import RateLimit

from .conftest import Open


async def test_rate_limit_says_when_to_retry(api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: now))
    client = api(rate=3.0)
    answers = [await client.get("/projection/summary") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"] == "1"
    assert answers[3].headers["Content-Type"] == "application/problem+json"
    now += 0.34
    assert (await client.get("/projection/summary")).status_code == 200
    assert (await client.get("/projection/summary")).status_code == 429
    assert (await client.get("/health/live")).status_code == 200  # a load balancer is not a client


async def test_rate_limit_counts_requests_without_token_by_address(
    api: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 100.0
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: now))
    file = tmp_path / "tokens.json"
    reader = {"Authorization": f"Bearer {tokens.add(file, 'reader', ['read'])}"}
    client = api(rate=3.0, tokens=file)
    asked: list[dict[str, str]] = [{}, {"Authorization": "Bearer wrong"}, {}, {}]
    answers = [await client.get("/projection/summary", headers=headers) for headers in asked]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[3].headers["Retry-After"] == "1"
    # Who has a token is asked for nothing of it, and its refusals count as its requests do.
    assert (await client.get("/projection/summary", headers=reader)).status_code == 200
    refused = [await client.post("/items/a/cancel", headers=reader) for _ in range(3)]
    assert [answer.status_code for answer in refused] == [403, 403, 429]
    now += 0.34
    assert (await client.get("/projection/summary")).status_code == 401


def test_rate_limit_forgets_idle_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: now))
    rate = RateLimit(2.0)
    for number in range(1_000):
        assert rate.take(f"10.0.0.{number}") == 0.0
    now += 0.5
    assert (rate.take("late"), rate.take("late")) == (0.0, 0.0)
    now += 0.6
    assert rate.take("late") == 0.0
    assert rate.take("late") > 0.0  # it had not filled up again
    assert set(rate._buckets) == {"late"}


def test_rate_limit_may_be_below_one_a_second() -> None:
    rate = RateLimit(0.1)
    assert rate.take("a") == 0.0
    assert 9.0 < rate.take("a") <= 10.0


def test_rate_limit_is_per_client() -> None:
    rate = RateLimit(1.0)
    assert rate.take("a") == 0.0
    assert 0.0 < rate.take("a") <= 1.0
    assert rate.take("b") == 0.0
