"""When a wallet is low: judged by what it spent in a while, not by its last moment."""

from dataclasses import dataclass

import pytest

from workflow_backend.chain import funds as module
from workflow_backend.chain.funds import LOOK_SECONDS, PACE_SECONDS, Funds


@dataclass
class Wallet:
    """A wallet with its node and its clock: what it holds, and what its transactions cost."""

    left: float
    cost: float = 1.0
    address: str = "aa"
    transactions: int = 0
    now: float = 1000.0

    async def balance(self, _: str) -> float:
        return self.left

    def monotonic(self) -> float:
        return self.now

    def send(self, number: int) -> None:
        self.left -= number * self.cost
        self.transactions += number


@dataclass
class Watched:
    wallet: Wallet
    funds: Funds

    async def looks(self, seconds: float, sending: int = 0) -> bool:
        """Look for so long, so many transactions before each look; tell whether it is low."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.wallet.now += LOOK_SECONDS
            self.wallet.send(sending)
            await self.funds.look()
        return bool(self.funds.warning)


async def watched(patch: pytest.MonkeyPatch, wallet: Wallet) -> Watched:
    patch.setattr(module, "time", wallet)
    found = Watched(wallet, Funds(wallet, wallet))  # type: ignore[arg-type]
    await found.funds.look()
    return found


async def test_a_burst_is_no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    # At the pace of these 15 s, it would be empty in ten minutes.
    seen = await watched(monkeypatch, Wallet(100_000))
    assert not await seen.looks(LOOK_SECONDS, sending=2_500)
    assert not await seen.looks(3600)


async def test_a_pace_that_empties_it_within_an_hour_is_told_long_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = await watched(monkeypatch, Wallet(100_000))
    low = False
    while not low:
        low = await seen.looks(LOOK_SECONDS, sending=2_500)
    assert seen.wallet.left > 100_000 * 0.8
    assert "enough for about" in seen.funds.warning


async def test_a_lull_of_a_look_or_two_ends_no_warning_and_a_long_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = await watched(monkeypatch, Wallet(100_000))
    assert await seen.looks(150, sending=2_500)
    assert await seen.looks(60)
    assert not await seen.looks(PACE_SECONDS)


async def test_few_transactions_left_are_told_however_slowly_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = await watched(monkeypatch, Wallet(150))
    assert not await seen.looks(LOOK_SECONDS, sending=1)
    assert not await seen.looks(7200)
    seen.wallet.left = 99
    assert await seen.looks(LOOK_SECONDS)
    assert await seen.looks(7200)


async def test_what_comes_in_undoes_no_spending(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await watched(monkeypatch, Wallet(10_000))
    assert not await seen.looks(LOOK_SECONDS, sending=1_000)
    seen.wallet.left += 2_000
    assert not await seen.looks(LOOK_SECONDS)
    assert await seen.looks(LOOK_SECONDS, sending=800)  # 1,800 in a moment, 10,200 left


async def test_where_nothing_is_charged_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await watched(monkeypatch, Wallet(0, cost=0.0))
    assert not await seen.looks(3600, sending=1_000)
