"""Who decides about validators: the operator while there is one, then more than 2/3 by votes."""

from typing import Any

import pytest

from .vm import CONTRACTS, Chain, Refused

FOUNDER = "1" * 64
A, B, C, D, E = ("a" * 64, "b" * 64, "c" * 64, "d" * 64, "e" * 64)
OVER = "the vote is over"
EVIDENCE_SENDER = "__evidence_penalty_driver__"
"""In whose name the node applies evidence."""


class Network:
    """The validators' contract with some validators of power 10 each."""

    def __init__(self, chain: Chain, *members: str) -> None:
        self.chain = chain
        genesis = CONTRACTS / "genesis"
        chain.deploy("sys", "foundation", genesis / "foundation.s.py", vk=FOUNDER)
        source = genesis / "validators.s.py"
        chain.deploy("sys", "validators", source, genesis_nodes=list(members))

    def send(self, sender: str, function: str, /, **arguments: Any) -> str:
        return self.chain.send(sender, "validators", function, **arguments).result

    def refusal(self, sender: str, function: str, /, **arguments: Any) -> str:
        with pytest.raises(Refused) as refused:
            self.send(sender, function, **arguments)
        return str(refused.value)

    def agree(self, number: int, member: str, power: int) -> None:
        """Change a member's power by the votes of A, B and C, in the proposal of that number."""
        assert self.send(A, "propose", member=member, power=power) == str(number)
        self.send(B, "vote", proposal_id=number, in_favour=True)
        self.send(C, "vote", proposal_id=number, in_favour=True)

    @property
    def powers(self) -> dict[str, int]:
        """As the node reads them."""
        driver = self.chain.driver
        active = driver.get("validators.active_validators")
        return {member: driver.get(f"validators.powers:{member}") for member in active}

    def evidence(self, member: str, number: int = 1) -> str:
        return self.send(
            EVIDENCE_SENDER,
            "apply_evidence_penalty",
            member=member,
            infraction_type="DUPLICATE_VOTE",
            evidence_id=f"{number:064x}",
            evidence_height=7,
        )


@pytest.fixture
def one(chain: Chain) -> Network:
    return Network(chain, A)


@pytest.fixture
def four(chain: Chain) -> Network:
    return Network(chain, A, B, C, D)


def test_operator_decides_while_there_is_one(one: Network) -> None:
    one.send(FOUNDER, "set_validator", member=A, power=30)
    assert one.powers == {A: 30}
    one.send(FOUNDER, "set_validator", member=B, power=10)
    assert one.powers == {A: 30, B: 10}
    assert one.refusal(FOUNDER, "set_validator", member=B, power=0) == (
        "there are several validators: they decide by votes, with propose and vote"
    )


def test_decisions_need_the_operator(one: Network) -> None:
    for sender in (A, B):
        assert one.refusal(sender, "set_validator", member=B, power=10) == (
            "only the operator may do this"
        )
    assert one.refusal(A, "propose", member=B, power=10).startswith("there is one validator")


def test_last_validator_stays(one: Network) -> None:
    assert one.refusal(FOUNDER, "set_validator", member=A, power=0) == (
        "the last validator has to stay"
    )
    assert one.evidence(A) == "False"
    assert one.powers == {A: 10}


@pytest.mark.parametrize("member", ["", "a" * 63, "A" * 64, "g" * 64, 5, None, "a:b"])
def test_invalid_validator_is_refused(one: Network, member: Any) -> None:
    message = "a validator is named by the 64 lowercase hexadecimal digits of its public key"
    assert one.refusal(FOUNDER, "set_validator", member=member, power=10) == message
    one.send(FOUNDER, "set_validator", member=B, power=10)
    assert one.refusal(A, "propose", member=member, power=10) == message


@pytest.mark.parametrize("power", [-1, 1_000_001, 1.5, True, "10", None, 10**30])
def test_invalid_power_is_refused(one: Network, power: Any) -> None:
    assert one.refusal(FOUNDER, "set_validator", member=B, power=power) == (
        "the power must be an integer from 0 to 1000000"
    )


def test_more_than_two_thirds_decide(four: Network) -> None:
    assert four.send(A, "propose", member=E, power=10) == "1"
    assert four.send(B, "vote", proposal_id=1, in_favour=True) == "'pending'"
    assert four.powers == {A: 10, B: 10, C: 10, D: 10}
    assert four.send(C, "vote", proposal_id=1, in_favour=True) == "'passed'"
    assert four.powers == {A: 10, B: 10, C: 10, D: 10, E: 10}
    assert four.refusal(D, "vote", proposal_id=1, in_favour=True) == OVER


def test_exactly_two_thirds_are_not_enough(chain: Chain) -> None:
    three = Network(chain, A, B, C)
    three.send(A, "propose", member=C, power=0)
    assert three.send(B, "vote", proposal_id=1, in_favour=True) == "'pending'"
    assert three.send(C, "vote", proposal_id=1, in_favour=False) == "'rejected'"
    assert three.powers == {A: 10, B: 10, C: 10}


def test_power_counts_not_heads(four: Network) -> None:
    four.agree(1, A, 100)
    four.send(A, "propose", member=D, power=0)  # 100 of 130 is more than 2/3
    assert four.powers == {A: 100, B: 10, C: 10}


def test_hopeless_vote_is_over(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    assert four.send(B, "vote", proposal_id=1, in_favour=False) == "'pending'"
    assert four.send(C, "vote", proposal_id=1, in_favour=False) == "'rejected'"
    assert four.refusal(D, "vote", proposal_id=1, in_favour=True) == OVER


def test_each_validator_votes_once(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    again = "this validator has voted already"
    assert four.refusal(A, "vote", proposal_id=1, in_favour=True) == again
    four.send(B, "vote", proposal_id=1, in_favour=True)
    assert four.refusal(B, "vote", proposal_id=1, in_favour=True) == again
    assert four.refusal(B, "vote", proposal_id=1, in_favour=False) == again
    assert E not in four.powers


def test_only_validators_vote(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    for sender in (E, FOUNDER):
        message = "only validators may do this"
        assert four.refusal(sender, "vote", proposal_id=1, in_favour=True) == message
        assert four.refusal(sender, "propose", member=E, power=10) == message


@pytest.mark.parametrize("proposal_id", [0, 2, -1, True, "1", None, 1.0])
def test_unknown_vote_is_refused(four: Network, proposal_id: Any) -> None:
    four.send(A, "propose", member=E, power=10)
    assert four.refusal(B, "vote", proposal_id=proposal_id, in_favour=True) == (
        "there is no such proposal"
    )


def test_vote_is_true_or_false(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    for word in ("no", 0, None):
        assert four.refusal(B, "vote", proposal_id=1, in_favour=word) == (
            "in_favour must be true or false"
        )


def test_changed_set_ends_open_proposals(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    four.send(B, "propose", member=D, power=0)
    four.send(A, "vote", proposal_id=2, in_favour=True)
    assert four.send(C, "vote", proposal_id=2, in_favour=True) == "'passed'"
    assert four.powers == {A: 10, B: 10, C: 10}
    assert four.chain.driver.get("validators.votes:1")["status"] == "lapsed"
    assert four.refusal(B, "vote", proposal_id=1, in_favour=True) == OVER


def test_new_proposal_withdraws_the_open_one(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    four.send(A, "propose", member=E, power=20)
    assert four.refusal(B, "vote", proposal_id=1, in_favour=True) == OVER
    four.send(B, "vote", proposal_id=2, in_favour=True)
    four.send(C, "vote", proposal_id=2, in_favour=True)
    assert four.powers[E] == 20


def test_change_without_effect_is_refused(four: Network) -> None:
    for member, power in ((A, 10), (E, 0)):
        assert four.refusal(B, "propose", member=member, power=power) == (
            "the validator has this power already"
        )


def test_removed_validator_may_return(four: Network) -> None:
    four.agree(1, D, 0)
    four.agree(2, D, 10)
    assert four.powers == {A: 10, B: 10, C: 10, D: 10}
    assert four.chain.driver.get("validators.validator_registry").count(D) == 1


def test_evidence_removes_validator(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    assert four.evidence(D) == "True"
    assert four.powers == {A: 10, B: 10, C: 10}
    assert four.refusal(B, "vote", proposal_id=1, in_favour=True) == OVER
    assert four.chain.driver.get("validators.powers:" + D) == 0
    # The node finds whom late evidence is about in the registry.
    assert D in four.chain.driver.get("validators.validator_registry")


def test_same_evidence_counts_once(four: Network) -> None:
    four.evidence(D)
    four.agree(1, D, 10)
    assert four.evidence(D) == "False"
    assert D in four.powers
    assert four.evidence(D, number=2) == "True"


def test_evidence_comes_from_the_node_only(four: Network) -> None:
    for sender in (A, FOUNDER):
        message = four.refusal(
            sender,
            "apply_evidence_penalty",
            member=D,
            infraction_type="DUPLICATE_VOTE",
            evidence_id="0" * 64,
            evidence_height=7,
        )
        assert message == "only the node may do this"


def test_node_queries_read_validators(four: Network) -> None:
    four.send(A, "propose", member=E, power=10)
    four.send(B, "vote", proposal_id=1, in_favour=False)
    assert four.chain.driver.get("validators.total_votes") == 1
    vote = four.chain.driver.get("validators.votes:1")
    assert (vote["status"], vote["finalized"], vote["member_snapshot"]) == (
        "pending",
        False,
        [A, B, C, D],
    )
    assert (vote["yes"], vote["no"], vote["total_power"]) == (10, 10, 40)
    for voter, word, weight in ((A, "yes", 10), (B, "no", 10), (C, None, None)):
        assert four.chain.driver.get(f"validators.vote_records:1:{voter}") == word
        assert four.chain.driver.get(f"validators.vote_weights:1:{voter}") == weight
    four.send(C, "vote", proposal_id=1, in_favour=False)
    vote = four.chain.read(A, "validators", "get_vote", proposal_id=1)
    assert (vote["status"], vote["finalized"]) == ("rejected", True)
    assert four.chain.read(A, "validators", "get_active_validators") == [A, B, C, D]
    assert four.chain.read(A, "validators", "get_validator", account=E) == {
        "account": E,
        "active": False,
        "power": 0,
    }
