"""The currency that fees are paid in where the network charges them.

The node takes fees from `balances` and pays rewards into it.
"""

balances = Hash(default_value=0)
approvals = Hash(default_value=0)

Transfer = LogEvent(
    event="Transfer",
    params={"from": indexed(str), "to": indexed(str), "amount": (int, float, decimal)},
)
Approve = LogEvent(
    event="Approve",
    params={"from": indexed(str), "to": indexed(str), "amount": (int, float, decimal)},
)

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


@construct
def seed(vk: str, supply: int = 1000000000):
    balances[vk] = supply


def assert_account(account):
    assert (
        isinstance(account, str) and 0 < len(account) <= 64 and account.strip(CHARACTERS) == ""
    ), "an account is 1 to 64 of the characters a-z 0-9 _"


def assert_amount(amount):
    assert isinstance(amount, (int, decimal)) and amount > 0, "the amount must be above 0"


def move(sender, to, amount):
    assert balances[sender] >= amount, "the balance is too low"
    balances[sender] -= amount
    balances[to] += amount
    Transfer({"from": sender, "to": to, "amount": amount})


@export
def transfer(amount: float, to: str):
    assert_amount(amount)
    assert_account(to)
    move(ctx.caller, to, amount)


@export
def approve(amount: float, to: str):
    assert isinstance(amount, (int, decimal)) and amount >= 0, "the amount must not be below 0"
    assert_account(to)
    approvals[ctx.caller, to] = amount
    Approve({"from": ctx.caller, "to": to, "amount": amount})


@export
def transfer_from(amount: float, to: str, main_account: str):
    assert_amount(amount)
    assert_account(to)
    assert_account(main_account)
    assert approvals[main_account, ctx.caller] >= amount, "the approved amount is too low"
    approvals[main_account, ctx.caller] -= amount
    move(main_account, to, amount)


@export
def balance_of(address: str):
    assert_account(address)
    return balances[address]


@export
def allowance(owner: str, spender: str):
    assert_account(owner)
    assert_account(spender)
    return approvals[owner, spender]
