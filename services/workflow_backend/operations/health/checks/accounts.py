"""Accounts: workers may claim, former workers may not, and wallets can pay their fees."""

import asyncio
from collections.abc import Awaitable, Callable

from ..context import Context, or_failure, see
from ..result import BOOTSTRAP, Check, State, short

LOW_BALANCE = 0.25
"""The share of the funding target below which a wallet is low."""


async def run(context: Context) -> list[Check]:
    """Check each account by itself: one that can't be read hides no other."""
    desired = context.desired
    groups: list[tuple[str, tuple[str, ...], Callable[[Context, str], Awaitable[Check]]]] = [
        ("worker", desired.workers, _worker),
        ("former worker", desired.former_workers, _former_worker),
        ("wallet", desired.accounts if desired.paid else (), _wallet),
    ]
    pairs = [(name, account, check) for name, accounts, check in groups for account in accounts]
    if await context.chain.get() is None:
        return [see(name, "node") for name, _, _ in pairs]
    return list(
        await asyncio.gather(
            *(or_failure(name, check(context, account)) for name, account, check in pairs)
        )
    )


async def _worker(context: Context, account: str) -> Check:
    return worker(account, await context.ask_node(context.node.is_worker(account)))


async def _former_worker(context: Context, account: str) -> Check:
    return former_worker(account, await context.ask_node(context.node.is_worker(account)))


async def _wallet(context: Context, account: str) -> Check:
    balance = await context.ask_node(context.node.balance(account))
    return wallet(account, balance, context.desired.fund_target)


def worker(account: str, registered: bool) -> Check:
    """Return whether an account may claim items."""
    if registered:
        return Check("worker", State.OK, f"{short(account)} may claim items")
    return Check("worker", State.FAILED, f"{account} is not a worker of the contract", BOOTSTRAP)


def former_worker(account: str, registered: bool) -> Check:
    """Return whether an account that may no longer claim has lost that right."""
    if registered:
        return Check("former worker", State.FAILED, f"{account} may still claim", BOOTSTRAP)
    return Check("former worker", State.OK, f"{short(account)} may no longer claim")


def wallet(account: str, balance: float, target: float) -> Check:
    """Return whether an account can pay for its transactions."""
    what = f"{short(account)} has {balance:,.0f} of {target:,.0f}"
    if balance <= 0:
        return Check("wallet", State.FAILED, what, BOOTSTRAP)
    if balance < target * LOW_BALANCE:
        return Check("wallet", State.WARNING, f"low: {what}", BOOTSTRAP)
    return Check("wallet", State.OK, what)
