"""When a wallet is low: judged by what it spent in a while, not by its last moment."""

from dataclasses import dataclass

import pytest

from workflow_backend.chain import balance_monitor as module
from workflow_backend.chain.balance_monitor import (
    CHECK_SECONDS,
    RATE_WINDOW_SECONDS,
    BalanceMonitor,
)


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
    monitor: BalanceMonitor

    async def looks(self, seconds: float, sending: int = 0) -> bool:
        """Look for so long, so many transactions before each look; tell whether it is low."""
        for _ in range(round(seconds / CHECK_SECONDS)):
            self.wallet.now += CHECK_SECONDS
            self.wallet.send(sending)
            await self.monitor.check()
        return bool(self.monitor.warning)


async def watched(patch: pytest.MonkeyPatch, wallet: Wallet) -> Watched:
    patch.setattr(module, "time", wallet)
    found = Watched(wallet, BalanceMonitor(wallet, wallet))  # type: ignore[arg-type]
    await found.monitor.check()
    return found


async def test_burst_is_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    # At the pace of these 15 s, it would be empty in ten minutes.
    seen = await watched(monkeypatch, Wallet(100_000))
    assert not await seen.looks(CHECK_SECONDS, sending=2_500)
    assert not await seen.looks(3600)


async def test_balance_warns_before_wallet_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = await watched(monkeypatch, Wallet(100_000))
    low = False
    while not low:
        low = await seen.looks(CHECK_SECONDS, sending=2_500)
    assert seen.wallet.left > 100_000 * 0.8
    assert "enough for about" in seen.monitor.warning


async def test_balance_warning_survives_short_lull(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = await watched(monkeypatch, Wallet(100_000))
    assert await seen.looks(150, sending=2_500)
    assert await seen.looks(60)
    assert not await seen.looks(RATE_WINDOW_SECONDS)


async def test_balance_warns_of_few_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = await watched(monkeypatch, Wallet(150))
    assert not await seen.looks(CHECK_SECONDS, sending=1)
    assert not await seen.looks(7200)
    seen.wallet.left = 99
    assert await seen.looks(CHECK_SECONDS)
    assert await seen.looks(7200)


async def test_payment_cancels_no_spending(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await watched(monkeypatch, Wallet(10_000))
    assert not await seen.looks(CHECK_SECONDS, sending=1_000)
    seen.wallet.left += 2_000
    assert not await seen.looks(CHECK_SECONDS)
    assert await seen.looks(CHECK_SECONDS, sending=800)  # 1,800 in a moment, 10,200 left


async def test_no_warning_without_fees(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await watched(monkeypatch, Wallet(0, cost=0.0))
    assert not await seen.looks(3600, sending=1_000)
