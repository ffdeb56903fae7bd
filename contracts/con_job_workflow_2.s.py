"""A shared queue of work, version 2: requesters submit items, workers claim them and report.

README.md draws the states and says who may move an item between them. One record holds all of an
item, so one read shows it whole. Every function exists for one item, where a refusal fails the
call, and for a batch, where each entry is answered by itself and none fails the call.

The VM parses the contract for each transaction, and parsing a node of its syntax tree takes as long
as executing it twenty times. A call copies the function called, and a field of a record costs more
than any statement. So what is regular stands in tables, a batch is one loop in one function, and a
record leaves out what has its default.
"""

metadata = Hash()
workers = Hash(default_value=False)
agents = Hash(default_value=False)
items = Hash()

TEXT = indexed(str)
OF_ACCOUNT = {"account": TEXT, "actor": TEXT}
OF_ITEM = {"item_id": TEXT, "actor": TEXT, "reason": str}

ItemSubmitted = LogEvent(
    event="ItemSubmitted",
    params={"item_id": TEXT, "kind": TEXT, "requester": TEXT, "client": str, "priority": int},
)
ItemClaimed = LogEvent(
    event="ItemClaimed", params={"item_id": TEXT, "worker": TEXT, "requester": str}
)
ItemCompleted = LogEvent(
    event="ItemCompleted", params={"item_id": TEXT, "worker": TEXT, "result_uri": str}
)
ItemFailed = LogEvent(event="ItemFailed", params={"item_id": TEXT, "worker": TEXT, "reason": str})
ItemCancelled = LogEvent(event="ItemCancelled", params=OF_ITEM)
ItemStopRequested = LogEvent(event="ItemStopRequested", params=OF_ITEM)
ItemArchived = LogEvent(
    event="ItemArchived", params={"item_id": TEXT, "actor": TEXT, "ended": str, "digest": str}
)
WorkerAdded = LogEvent(event="WorkerAdded", params=OF_ACCOUNT)
WorkerRemoved = LogEvent(event="WorkerRemoved", params=OF_ACCOUNT)
AgentAdded = LogEvent(event="AgentAdded", params=OF_ACCOUNT)
AgentRemoved = LogEvent(event="AgentRemoved", params=OF_ACCOUNT)
OperatorProposed = LogEvent(event="OperatorProposed", params=OF_ACCOUNT)
OperatorChanged = LogEvent(event="OperatorChanged", params={"account": TEXT, "previous": TEXT})
ClaimsPaused = LogEvent(
    event="ClaimsPaused", params={"kind": TEXT, "actor": TEXT, "reason": str, "until": int}
)
ClaimsResumed = LogEvent(event="ClaimsResumed", params={"kind": TEXT, "actor": TEXT})
RetentionChanged = LogEvent(event="RetentionChanged", params={"seconds": int, "actor": TEXT})

NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
PRINTABLE = (
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
    "abcdefghijklmnopqrstuvwxyz{|}~"
)

# Each action: who may do it, the status before it and after it, the fields that an entry may have.
ACTIONS = {
    "submit": (
        "anybody none submitted "
        "item_id payload_uri kind metadata_ref client priority not_before after"
    ),
    "claim": "worker submitted processing item_id lease_seconds",
    "complete": "holder processing completed item_id result_uri attempt",
    "fail": "holder processing failed item_id reason attempt",
    "renew": "holder processing processing item_id attempt lease_seconds",
    "release": "holder processing submitted item_id attempt",
    "cancel": "requester submitted cancelled item_id reason attempt",
    "retry": "requester failed submitted item_id",
    "stop": "requester processing cancelled item_id reason",
    "archive": "anybody ended archived item_id",
}

# Each field: the letter that refuses it, its default (None where it has to be there), its greatest
# length or value, and the characters of a text or the least value of a number, which may be 0 too.
FIELDS = {
    "item_id": ["p", None, 128, NAME_CHARACTERS],
    "payload_uri": ["r", None, 1024, PRINTABLE],
    "metadata_ref": ["s", "", 1024, PRINTABLE],
    "result_uri": ["t", None, 1024, PRINTABLE],
    "reason": ["u", "", 512, PRINTABLE],
    "kind": ["q", "", 64, NAME_CHARACTERS],
    "client": ["x", "", 64, NAME_CHARACTERS],
    "attempt": ["v", 0, 1000000000, 1],
    "lease_seconds": ["w", 0, 86400, 5],
    "priority": ["F", 5, 9, 1],
    "not_before": ["G", 0, 253402300799, 1],
    "after": ["H", [], 8, None],
}

IN_STATE = {
    "submitted": "b",
    "processing": "c",
    "completed": "d",
    "failed": "e",
    "cancelled": "f",
    "archived": "y",
}

# A receipt keeps the first 1,024 characters of an answer. So a batch answers in text with a letter
# and the item's attempt for each entry: "a1a1k0". Each line: a letter and what it means.
ANSWERS = """aok
bstate: the item is submitted
cstate: the item is processing
dstate: the item is completed
estate: the item is failed
fstate: the item is cancelled
gstate: this worker holds the item already
hexists: there is an item with this item_id
imissing: there is no item with this item_id
jforbidden: only workers may do this
kforbidden: only the worker that holds the item may do this
lforbidden: only the requester, its agents and the operator may do this
mleased: another worker holds the item and its lease has not passed
nstale: the attempt is not the current one of the item
oinvalid: an entry is a dict with an item_id and, for apply_items, an action
pinvalid: item_id must be 1 to 128 of the characters A-Z a-z 0-9 _ -
qinvalid: kind must be at most 64 of the characters A-Z a-z 0-9 _ -
rinvalid: payload_uri must be at most 1024 printable ASCII characters
sinvalid: metadata_ref must be at most 1024 printable ASCII characters
tinvalid: result_uri must be at most 1024 printable ASCII characters
uinvalid: reason must be at most 512 printable ASCII characters
vinvalid: attempt must be an integer from 0 to 1000000000
winvalid: lease_seconds must be 0 or an integer from 5 to 86400
xinvalid: client must be at most 64 of the characters A-Z a-z 0-9 _ -
yarchived: the record of the item has left the state
zearly: the time before which the item may not be claimed has not come
Awaiting: an item that this one comes after is not completed
Bpaused: the operator has paused claims of this kind
Cstopping: a stop of the item was requested
Dearly: the retention of ended items has not passed, or none is set
Emissing: after names an item that is not there
Finvalid: priority must be an integer from 0 to 9
Ginvalid: not_before must be an integer from 0 to 253402300799, in seconds since 1970 in UTC
Hinvalid: after must be a list of at most 8 item_ids"""


@construct
def seed(
    name: str = "Job Workflow",
    operator: str = None,
    first_workers: list = [],
    first_agents: list = [],
):
    operator = operator or ctx.caller
    assert is_text(name, 128, PRINTABLE), "the name must be at most 128 printable ASCII characters"
    metadata["name"] = name
    metadata["operator"] = operator
    for account in [operator] + first_workers:
        assert_account(account)
        workers[account] = True
    for principal, account in first_agents:
        assert_account(principal)
        assert_account(account)
        agents[principal, account] = True


@export
def get_answers():
    return {line[0]: line[1:] for line in ANSWERS.split("\n")}


def is_text(value, longest, characters):
    # The last holds exactly when the text has no other character: one step in the VM where a loop
    # would take one for each.
    return isinstance(value, str) and len(value) <= longest and value.strip(characters) == ""


def is_name(value, longest):
    return value != "" and is_text(value, longest, NAME_CHARACTERS)


def is_account(value):
    return is_text(value, 64, "abcdefghijklmnopqrstuvwxyz0123456789_") and (
        value.startswith("con_") or (len(value) == 64 and value.strip("0123456789abcdef") == "")
    )


def assert_account(account):
    assert is_account(account), (
        "an account is 64 lowercase hexadecimal digits or con_ and up to 60 of a-z 0-9 _"
    )


def assert_operator():
    assert ctx.caller == metadata["operator"], "only the operator may do this"


def assert_batch(batch):
    # 128 entries of 1 KiB each (record, key and event) are what one transaction may write.
    assert isinstance(batch, list) and len(batch) <= 128, "a batch is a list of at most 128 entries"


def has_passed(record, seconds):
    """Tell whether so many seconds have passed; the first call starts the clock.

    A block's `now` is about when the block before it was made, which may be hours ago. So neither a
    lease nor the retention runs from the `now` of the claim or of the end, but from that of a later
    block in which somebody asks: it is never before the block in which that happened.
    """
    since = record.get("contested_at")
    if since:
        # As text, times compare as they do in time.
        return since <= str(now + datetime.timedelta(seconds=-seconds))
    # updated_at is the `now` of the claim, the last renewal or the end, and no two blocks have the
    # same: an equal time means the same block.
    if record["updated_at"] != str(now):
        record["contested_at"] = str(now)
        record["revision"] += 1
        items[record["item_id"]] = record
    return False


def is_paused(pauses, kind, seconds):
    return True in [
        not 0 < pauses[name]["until"] <= seconds for name in [kind, "*"] if name in pauses
    ]


def is_completed(item_id):
    record = items[item_id]
    return "completed" in [record["status"], record.get("ended")]


def perform(action, batch):
    """Do the entries in order and answer each with a letter and the attempt of its item.

    `action` is that of all entries, or None where each names its own.
    """
    assert_batch(batch)
    pauses = metadata["pauses"]
    caller = ctx.caller
    is_working = workers[caller]
    at = str(now)
    seconds = (now - datetime.datetime(1970, 1, 1)).seconds
    last_verb = None
    answers = ""
    for entry in batch:
        # First the entry itself, before any of it reaches a hash: a wrong key would fail the call.
        letter = "o"
        attempt = 0
        verb = None
        if isinstance(entry, dict):
            verb = action or entry.get("action")
        if verb in ACTIONS:
            if verb != last_verb:
                last_verb = verb
                rule = ACTIONS[verb].split()
                checks = [[name] + FIELDS[name] for name in rule[3:]]
            letter = ""
            given = {}
            for name, fault, default, most, form in checks:
                value = entry.get(name)
                if value is not None or default is None:
                    if not (
                        isinstance(value, str) and len(value) <= most and value.strip(form) == ""
                        if isinstance(form, str)
                        else isinstance(value, int) and (value == 0 or form <= value <= most)
                        if isinstance(form, int)
                        else isinstance(value, list)
                        and len(value) <= most
                        and False not in [is_name(other, 128) for other in value]
                    ):
                        letter = fault
                    if value != default:
                        given[name] = value
            item_id = given.get("item_id", "")
            if item_id == "":
                letter = "p"

        # Then whether the item is there, and the caller may do this to it.
        if letter == "":
            record = items[item_id] or {
                "requester": caller,
                "status": "none",
                "created_at": at,
                "attempt": 0,
                "revision": 0,
                **given,
            }
            attempt = record["attempt"]
            status = record["status"]
            is_held = status == "processing"
            is_holder = is_held and record["worker"] == caller
            # Anybody may end what was to stop, once its lease has passed. Nobody runs it again.
            is_ending = is_held and verb == "claim" and "stop_requested_at" in record
            if status == "archived":
                letter = "y"
            elif verb == "submit":
                letter = (
                    "h" if status != "none"
                    else "E" if None in [items[other] for other in given.get("after", [])]
                    else ""
                )
            elif status == "none":
                letter = "i"
            elif verb == "archive":
                retention = metadata["retention"]
                letter = (
                    IN_STATE[status] if status in "submitted processing"
                    else "D" if not retention or not has_passed(record, retention)
                    else ""
                )
            elif verb == "claim":
                letter = (
                    "j" if not is_working and not is_ending
                    else "g" if is_holder and not is_ending
                    else IN_STATE[status] if status not in "submitted processing"
                    else "z" if "not_before" in record and record["not_before"] > seconds
                    else "A" if "after" in record
                    and False in [is_completed(other) for other in record["after"]]
                    else "B" if pauses and not is_ending
                    and is_paused(pauses, record["kind"], seconds)
                    else "m" if is_held and not has_passed(record, record["lease_seconds"])
                    else ""
                )
            elif rule[0] == "requester" and not (
                verb == "cancel" and is_holder and "stop_requested_at" in record
            ):
                requester = record["requester"]
                letter = (
                    "l" if not (
                        caller == requester
                        or agents[requester, caller]
                        or caller == metadata["operator"]
                    )
                    else "" if verb == "stop" and status == "submitted"
                    else IN_STATE[status] if status != rule[1]
                    else "C" if "stop_requested_at" in record
                    else ""
                )
            else:
                letter = (
                    "j" if not is_working
                    else "n" if "attempt" in given and given["attempt"] != attempt
                    else IN_STATE[status] if not is_held
                    else "k" if not is_holder
                    else "C" if verb in "renew release" and "stop_requested_at" in record
                    else ""
                )

        # Then do it, and tell of it.
        if letter == "":
            letter = "C" if is_ending else "a"
            if verb == "archive":
                if "after" in record:
                    record["after"] = " ".join(record["after"])
                lines = [name + "=" + str(record[name]) for name in sorted(record.keys())]
                digest = hashlib.sha256_text("\n".join(lines))
                record = {
                    "item_id": item_id,
                    "status": "archived",
                    "ended": status,
                    "attempt": attempt,
                    "digest": digest,
                }
                ItemArchived(item_id=item_id, actor=caller, ended=status, digest=digest)
            else:
                record["revision"] += 1
                if verb == "stop" and is_held:
                    reason = given.get("reason", "")
                    record["stop_requested_at"] = at
                    record["stop_requested_by"] = caller
                    record["stop_reason"] = reason
                    ItemStopRequested(item_id=item_id, actor=caller, reason=reason)
                else:
                    status = "cancelled" if is_ending else rule[2]
                    record["status"] = status
                    record["updated_at"] = at
                    if "contested_at" in record:
                        record["contested_at"] = ""
                    if status == "processing":
                        lease_seconds = 300 if verb == "claim" else record["lease_seconds"]
                        record["lease_seconds"] = given.get("lease_seconds", lease_seconds)
                        if verb == "claim":
                            attempt += 1
                            record["attempt"] = attempt
                            record["worker"] = caller
                            ItemClaimed(
                                item_id=item_id, worker=caller, requester=record["requester"]
                            )
                    else:
                        if is_held:
                            record["lease_seconds"] = 0
                        if status == "submitted":
                            record["kind"] = record.get("kind") or "job"
                            for name in ["worker", "failure_reason"]:
                                if name in record:
                                    record[name] = ""
                            ItemSubmitted(
                                item_id=item_id,
                                kind=record["kind"],
                                requester=record["requester"],
                                client=record.get("client", ""),
                                priority=record.get("priority", 5),
                            )
                        elif status == "completed":
                            record["result_uri"] = given["result_uri"]
                            ItemCompleted(
                                item_id=item_id, worker=caller, result_uri=given["result_uri"]
                            )
                        else:
                            reason = given.get("reason", "")
                            if status == "failed":
                                ItemFailed(item_id=item_id, worker=caller, reason=reason)
                            else:
                                reason = reason or record.get("stop_reason", "")
                                ItemCancelled(item_id=item_id, actor=caller, reason=reason)
                            record["failure_reason"] = reason
            items[item_id] = record
        answers += letter + str(attempt)
    return answers


def perform_one(action, entry):
    letter = perform(action, [entry])[0]
    assert letter == "a", get_answers()[letter]
    return items[entry["item_id"]]


@export
def apply_items(batch: list):
    return perform(None, batch)


@export
def submit_item(
    item_id: str,
    payload_uri: str,
    kind: str = "job",
    metadata_ref: str = "",
    client: str = "",
    priority: int = 5,
    not_before: int = 0,
    after: list = [],
):
    return perform_one(
        "submit",
        {
            "item_id": item_id,
            "payload_uri": payload_uri,
            "kind": kind,
            "metadata_ref": metadata_ref,
            "client": client,
            "priority": priority,
            "not_before": not_before,
            "after": after,
        },
    )


@export
def submit_items(batch: list):
    return perform("submit", batch)


@export
def claim_item(item_id: str, lease_seconds: int = 0):
    return perform_one("claim", {"item_id": item_id, "lease_seconds": lease_seconds})


@export
def claim_items(item_ids: list, lease_seconds: int = 0):
    assert_batch(item_ids)
    return perform(
        "claim", [{"item_id": item_id, "lease_seconds": lease_seconds} for item_id in item_ids]
    )


@export
def complete_item(item_id: str, result_uri: str, attempt: int = 0):
    return perform_one(
        "complete", {"item_id": item_id, "result_uri": result_uri, "attempt": attempt}
    )


@export
def complete_items(batch: list):
    return perform("complete", batch)


@export
def fail_item(item_id: str, reason: str, attempt: int = 0):
    return perform_one("fail", {"item_id": item_id, "reason": reason, "attempt": attempt})


@export
def fail_items(batch: list):
    return perform("fail", batch)


@export
def cancel_item(item_id: str, reason: str = ""):
    return perform_one("cancel", {"item_id": item_id, "reason": reason})


@export
def cancel_items(batch: list):
    return perform("cancel", batch)


@export
def retry_item(item_id: str):
    return perform_one("retry", {"item_id": item_id})


@export
def retry_items(item_ids: list):
    assert_batch(item_ids)
    return perform("retry", [{"item_id": item_id} for item_id in item_ids])


@export
def renew_item(item_id: str, attempt: int = 0, lease_seconds: int = 0):
    return perform_one(
        "renew", {"item_id": item_id, "attempt": attempt, "lease_seconds": lease_seconds}
    )


@export
def renew_items(batch: list):
    return perform("renew", batch)


@export
def release_item(item_id: str, attempt: int = 0):
    return perform_one("release", {"item_id": item_id, "attempt": attempt})


@export
def release_items(batch: list):
    return perform("release", batch)


@export
def stop_item(item_id: str, reason: str = ""):
    return perform_one("stop", {"item_id": item_id, "reason": reason})


@export
def stop_items(batch: list):
    return perform("stop", batch)


@export
def archive_items(item_ids: list):
    assert_batch(item_ids)
    return perform("archive", [{"item_id": item_id} for item_id in item_ids])


@export
def get_item(item_id: str):
    record = (is_name(item_id, 128) and items[item_id]) or {"item_id": item_id}
    is_whole = "requester" in record
    names = (
        "item_id requester kind payload_uri metadata_ref client status worker result_uri "
        "failure_reason created_at updated_at attempt lease_seconds contested_at revision priority "
        "not_before after stop_requested_at stop_requested_by stop_reason ended digest"
    )
    numbers = "attempt lease_seconds priority not_before after"
    return {
        name: record.get(
            name, None if not is_whole else FIELDS[name][1] if name in numbers else ""
        )
        for name in names.split()
    }


@export
def get_items(item_ids: list):
    assert_batch(item_ids)
    return [get_item(item_id) for item_id in item_ids]


@export
def add_worker(account: str):
    assert_operator()
    assert_account(account)
    workers[account] = True
    WorkerAdded(account=account, actor=ctx.caller)


@export
def remove_worker(account: str):
    assert_operator()
    assert_account(account)
    assert account != ctx.caller, "the operator stays a worker"
    workers[account] = False
    WorkerRemoved(account=account, actor=ctx.caller)


@export
def is_worker(account: str):
    return is_account(account) and workers[account]


@export
def add_agent(account: str):
    assert_account(account)
    agents[ctx.caller, account] = True
    AgentAdded(account=account, actor=ctx.caller)


@export
def remove_agent(account: str):
    assert_account(account)
    agents[ctx.caller, account] = False
    AgentRemoved(account=account, actor=ctx.caller)


@export
def is_agent(principal: str, account: str):
    return is_account(principal) and is_account(account) and agents[principal, account]


@export
def propose_operator(account: str):
    assert_operator()
    assert_account(account)
    metadata["proposed_operator"] = account
    OperatorProposed(account=account, actor=ctx.caller)


@export
def accept_operator():
    assert ctx.caller == metadata["proposed_operator"], (
        "only the account that the operator proposed may do this"
    )
    previous = metadata["operator"]
    metadata["operator"] = ctx.caller
    metadata["proposed_operator"] = None
    workers[ctx.caller] = True
    OperatorChanged(account=ctx.caller, previous=previous)


@export
def get_operator():
    return metadata["operator"]


@export
def set_retention(seconds: int):
    assert_operator()
    assert isinstance(seconds, int) and 0 <= seconds <= 315360000, (
        "seconds must be an integer from 0 to 315360000"
    )
    metadata["retention"] = seconds
    RetentionChanged(seconds=seconds, actor=ctx.caller)


@export
def pause_claims(kind: str = "*", reason: str = "", until: int = 0):
    assert_operator()
    assert kind == "*" or is_name(kind, 64), (
        "kind must be * for all kinds or 1 to 64 of A-Z a-z 0-9 _ -"
    )
    assert is_text(reason, 512, PRINTABLE), get_answers()["u"]
    assert isinstance(until, int) and 0 <= until <= 253402300799, (
        "until must be an integer from 0 to 253402300799, in seconds since 1970 in UTC"
    )
    pauses = metadata["pauses"] or {}
    assert kind in pauses or len(pauses) < 32, "at most 32 kinds may be paused at once"
    pauses[kind] = {"actor": ctx.caller, "reason": reason, "until": until, "paused_at": str(now)}
    metadata["pauses"] = pauses
    ClaimsPaused(kind=kind, actor=ctx.caller, reason=reason, until=until)


@export
def resume_claims(kind: str = "*"):
    assert_operator()
    pauses = metadata["pauses"] or {}
    assert kind in pauses, "claims of this kind are not paused"
    pauses.pop(kind)
    metadata["pauses"] = pauses
    ClaimsResumed(kind=kind, actor=ctx.caller)
