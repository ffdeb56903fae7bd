"""The genesis: built by the node's own builder, and read as the node reads it."""

from pathlib import Path
from typing import Any

import pytest
from contracting.local import ContractingClient
from xian.genesis_builder import build_local_network_genesis
from xian.node_setup import generate_validator_material
from xian.rewards import RewardsHandler
from xian_accounts import Ed25519Account

from .vm import CONTRACTS, Chain, Refused

FOUNDER_KEY = "1" * 64
FOUNDER = Ed25519Account(FOUNDER_KEY).public_key
ALICE, BOB = "a" * 64, "b" * 64
GENESIS = CONTRACTS / "genesis"


def test_node_builds_a_genesis_of_the_contracts() -> None:
    materials = [generate_validator_material() for _ in range(3)]
    genesis = build_local_network_genesis(
        chain_id="test-1",
        founder_private_key=FOUNDER_KEY,
        contracts_dir=GENESIS,
        validators=[
            {
                "account_public_key": material["validator_public_key_hex"],
                "priv_validator_key": material["priv_validator_key"],
                "power": power,
            }
            for material, power in zip(materials, (10, 20, 30), strict=True)
        ],
    )
    state = {entry["key"]: entry["value"] for entry in genesis["abci_genesis"]["genesis"]}
    keys = [material["validator_public_key_hex"] for material in materials]
    assert state["validators.active_validators"] == keys
    assert [state[f"validators.powers:{key}"] for key in keys] == [10, 20, 30]
    assert state["foundation.owner"] == FOUNDER
    assert state[f"currency.balances:{FOUNDER}"] == 1_000_000_000


@pytest.fixture
def founded(chain: Chain) -> Chain:
    for name, arguments in {
        "currency": {"vk": FOUNDER},
        "chi_cost": {},
        "rewards": {},
        "foundation": {"vk": FOUNDER},
        "validators": {"genesis_nodes": [ALICE]},
    }.items():
        chain.deploy("sys", name, GENESIS / f"{name}.s.py", **arguments)
    return chain


def refusal(chain: Chain, sender: str, contract: str, function: str, /, **arguments: Any) -> str:
    with pytest.raises(Refused) as refused:
        chain.send(sender, contract, function, **arguments)
    return str(refused.value)


def test_genesis_contracts_have_what_the_node_reads(founded: Chain, tmp_path: Path) -> None:
    client = ContractingClient(
        storage_home=tmp_path, driver=founded.driver, submission_filename=None
    )
    assert client.get_var("validators", "active_validators") == [ALICE]
    assert client.get_var("validators", "powers", [ALICE]) == 10
    assert client.get_var("validators", "validator_registry") == [ALICE]
    assert client.get_var("validators", "config", ["selection_mode"]) == "manual"
    assert client.get_var("chi_cost", "S", ["value"]) == 20
    rewards, _, records = RewardsHandler(client).build_tx_reward_outputs(1000, "currency")
    assert set(rewards["validator_reward"]) == {ALICE}
    assert set(rewards["foundation_reward"]) == {FOUNDER}
    # One part in a hundred is burnt.
    assert sum(float(str(record["value"])) for record in records) == pytest.approx(990 / 20)


def balances(chain: Chain, *accounts: str) -> list[float]:
    return [float(str(chain.read("x", "currency", "balance_of", address=a))) for a in accounts]


def test_currency_moves(founded: Chain) -> None:
    receipt = founded.send(FOUNDER, "currency", "transfer", amount=2.5, to=ALICE)
    assert receipt.named_events[0][0] == "Transfer"
    assert receipt.events[0]["data_indexed"] == {"from": FOUNDER, "to": ALICE}
    assert balances(founded, FOUNDER, ALICE, BOB) == [999_999_997.5, 2.5, 0]
    founded.send(ALICE, "currency", "transfer", amount=1, to=ALICE)
    assert balances(founded, ALICE) == [2.5]
    founded.send(ALICE, "currency", "transfer", amount=2.5, to="con_shop")
    assert balances(founded, ALICE, "con_shop") == [0, 2.5]


def test_currency_moves_by_approval(founded: Chain) -> None:
    founded.send(FOUNDER, "currency", "approve", amount=10, to=ALICE)
    arguments = {"to": BOB, "main_account": FOUNDER}
    founded.send(ALICE, "currency", "transfer_from", amount=7, **arguments)
    message = refusal(founded, ALICE, "currency", "transfer_from", amount=4, **arguments)
    assert message == "the approved amount is too low"
    assert founded.read("x", "currency", "allowance", owner=FOUNDER, spender=ALICE) == 3
    assert balances(founded, BOB) == [7]
    founded.send(FOUNDER, "currency", "approve", amount=0, to=ALICE)
    refusal(founded, ALICE, "currency", "transfer_from", amount=1, **arguments)
    founded.send(BOB, "currency", "approve", amount=100, to=ALICE)
    arguments = {"to": ALICE, "main_account": BOB}
    assert refusal(founded, ALICE, "currency", "transfer_from", amount=8, **arguments) == (
        "the balance is too low"
    )


@pytest.mark.parametrize(
    "amount", [0, -1, -0.5, True, "5", None, [1], {"__fixed__": "NaN"}, {"__fixed__": "-1"}]
)
def test_invalid_amounts_are_refused(founded: Chain, amount: Any) -> None:
    founded.send(FOUNDER, "currency", "approve", amount=10, to=ALICE)
    refusal(founded, FOUNDER, "currency", "transfer", amount=amount, to=ALICE)
    refusal(
        founded, ALICE, "currency", "transfer_from", amount=amount, to=BOB, main_account=FOUNDER
    )
    if amount != 0:
        refusal(founded, FOUNDER, "currency", "approve", amount=amount, to=ALICE)
    assert balances(founded, FOUNDER, ALICE, BOB) == [1_000_000_000, 0, 0]


def test_overspending_is_refused(founded: Chain) -> None:
    assert refusal(founded, ALICE, "currency", "transfer", amount=1, to=BOB) == (
        "the balance is too low"
    )
    for amount in (1_000_000_001, 10**60, {"__fixed__": "Infinity"}):
        refusal(founded, FOUNDER, "currency", "transfer", amount=amount, to=BOB)
    assert balances(founded, FOUNDER, ALICE, BOB) == [1_000_000_000, 0, 0]


@pytest.mark.parametrize("account", ["", "a:b", "a.b", "A" * 64, "é", 5, None, "a" * 65])
def test_invalid_accounts_are_refused(founded: Chain, account: Any) -> None:
    message = "an account is 1 to 64 of the characters a-z 0-9 _"
    assert refusal(founded, FOUNDER, "currency", "transfer", amount=1, to=account) == message
    assert refusal(founded, FOUNDER, "currency", "approve", amount=1, to=account) == message
