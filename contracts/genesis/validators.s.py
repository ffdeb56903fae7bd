"""Who makes the network's blocks, and with which power.

A change is a member and the power it shall have; 0 takes it out. While there is one validator the
network's operator, the foundation's owner, decides. Where there are several, more than 2/3 of
their power does, by votes. The node reads `active_validators`, `powers`, `validator_registry` and
`config` after each block, and its queries about votes read `votes`, `total_votes` and
`vote_records`.
"""

active_validators = Variable()
validator_registry = Variable()
powers = Hash(default_value=0)
config = Hash()
total_votes = Variable()
open_votes = Variable()
votes = Hash()
vote_records = Hash()
vote_weights = Hash(default_value=0)
evidence = Hash()
operator = ForeignVariable(foreign_contract="foundation", foreign_name="owner")

ValidatorChanged = LogEvent(
    event="ValidatorChanged", params={"member": indexed(str), "power": int, "cause": str}
)
VoteOpened = LogEvent(
    event="VoteOpened",
    params={"member": indexed(str), "power": int, "proposal_id": int, "proposer": indexed(str)},
)
VoteDecided = LogEvent(event="VoteDecided", params={"proposal_id": int, "status": str})

DEFAULT_POWER = 10
MAX_POWER = 1000000
HEX = "0123456789abcdef"


@construct
def seed(
    genesis_nodes: list, genesis_registration_fee: int = 0, genesis_powers: dict = None
):
    assert len(genesis_nodes) > 0, "a network needs at least one validator"
    # The fee is what the node's maker of genesis blocks always hands over: here, joining is free.
    for member in genesis_nodes:
        power = (genesis_powers or {}).get(member, DEFAULT_POWER)
        assert_change(member, power)
        assert power > 0, "a validator of the genesis needs a power above 0"
        powers[member] = power
    active_validators.set(genesis_nodes)
    validator_registry.set(genesis_nodes)
    config["selection_mode"] = "manual"
    total_votes.set(0)
    open_votes.set([])


def assert_change(member, power):
    # A key that is none would stop every node of the network when it reads it.
    assert isinstance(member, str) and len(member) == 64 and member.strip(HEX) == "", (
        "a validator is named by the 64 lowercase hexadecimal digits of its public key"
    )
    assert isinstance(power, int) and 0 <= power <= MAX_POWER, (
        "the power must be an integer from 0 to 1000000"
    )


def change(member, power, cause):
    active = active_validators.get()
    assert powers[member] != power, "the validator has this power already"
    if power == 0:
        assert len(active) > 1, "the last validator has to stay"
        active = [other for other in active if other != member]
    elif member not in active:
        active = active + [member]
    active_validators.set(active)
    powers[member] = power
    known = validator_registry.get()
    if member not in known:
        validator_registry.set(known + [member])
    # What is still open was asked of another set of validators.
    for proposal_id in open_votes.get():
        close(proposal_id, "lapsed")
    ValidatorChanged({"member": member, "power": power, "cause": cause})


def close(proposal_id, status):
    proposal = votes[proposal_id]
    proposal["status"] = status
    proposal["finalized"] = True
    votes[proposal_id] = proposal
    open_votes.set([other for other in open_votes.get() if other != proposal_id])
    VoteDecided({"proposal_id": proposal_id, "status": status})


def count(proposal_id, in_favour):
    proposal = votes[proposal_id]
    weight = powers[ctx.caller]
    vote_records[proposal_id, ctx.caller] = "yes" if in_favour else "no"
    vote_weights[proposal_id, ctx.caller] = weight
    proposal["yes" if in_favour else "no"] += weight
    votes[proposal_id] = proposal
    needed = proposal["total_power"] * 2
    if proposal["yes"] * 3 > needed:
        close(proposal_id, "passed")
        change(proposal["member"], proposal["power"], "vote")
        return "passed"
    if (proposal["total_power"] - proposal["no"]) * 3 <= needed:
        close(proposal_id, "rejected")
        return "rejected"
    return "pending"


@export
def set_validator(member: str, power: int):
    assert ctx.caller == operator.get(), "only the operator may do this"
    assert len(active_validators.get()) == 1, (
        "there are several validators: they decide by votes, with propose and vote"
    )
    assert_change(member, power)
    change(member, power, "operator")


@export
def propose(member: str, power: int):
    active = active_validators.get()
    assert ctx.caller in active, "only validators may do this"
    assert len(active) > 1, "there is one validator: the operator decides, with set_validator"
    assert_change(member, power)
    assert powers[member] != power, "the validator has this power already"
    for other in open_votes.get():
        if votes[other]["proposer"] == ctx.caller:
            close(other, "withdrawn")
    proposal_id = total_votes.get() + 1
    total_votes.set(proposal_id)
    open_votes.set(open_votes.get() + [proposal_id])
    votes[proposal_id] = {
        "member": member,
        "power": power,
        "proposer": ctx.caller,
        "status": "pending",
        "finalized": False,
        "created_at": str(now),
        "member_snapshot": active,
        "total_power": sum([powers[voter] for voter in active]),
        "yes": 0,
        "no": 0,
    }
    VoteOpened(
        {"member": member, "power": power, "proposal_id": proposal_id, "proposer": ctx.caller}
    )
    count(proposal_id, True)
    return proposal_id


@export
def vote(proposal_id: int, in_favour: bool):
    assert ctx.caller in active_validators.get(), "only validators may do this"
    assert isinstance(proposal_id, int) and 0 < proposal_id <= total_votes.get(), (
        "there is no such proposal"
    )
    assert isinstance(in_favour, bool), "in_favour must be true or false"
    assert votes[proposal_id]["status"] == "pending", "the vote is over"
    assert vote_records[proposal_id, ctx.caller] is None, "this validator has voted already"
    return count(proposal_id, in_favour)


@export
def apply_evidence_penalty(
    member: str, infraction_type: str, evidence_id: str, evidence_height: int
):
    # The node calls this, with a sender that nobody can sign for.
    assert ctx.caller == "__evidence_penalty_driver__", "only the node may do this"
    if evidence[evidence_id] is not None:
        return False
    evidence[evidence_id] = {
        "member": member,
        "infraction_type": infraction_type,
        "height": evidence_height,
    }
    active = active_validators.get()
    # Without any validator there would be no network: the last one stays, whatever it did.
    if member not in active or len(active) == 1:
        return False
    change(member, 0, "evidence")
    return True


@export
def get_active_validators():
    return active_validators.get()


@export
def get_validator(account: str):
    active = account in active_validators.get()
    return {"account": account, "active": active, "power": powers[account] if active else 0}


@export
def get_vote(proposal_id: int):
    assert isinstance(proposal_id, int) and 0 < proposal_id <= total_votes.get(), (
        "there is no such proposal"
    )
    return votes[proposal_id]
