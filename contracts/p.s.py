"""A shared queue of work: requesters submit items, workers claim them and report what came of them.

README.md draws the states and says who may move an item between them. One record holds all of an
item, so one read shows it whole. Every function exists for one item, where a refusal fails the
call, and for a batch, where each entry is answered by itself and none fails the call.

The node reads a contract anew for every transaction, in time proportional to its length: a line
less here is time won for each.
"""

metadata = Hash()
workers = Hash(default_value=False)
agents = Hash(default_value=False)
items = Hash()

ItemSubmitted = LogEvent(
    event="ItemSubmitted",
    params={"item_id": indexed(str), "kind": indexed(str), "requester": indexed(str)},
)
ItemClaimed = LogEvent(
    event="ItemClaimed",
    params={"item_id": indexed(str), "worker": indexed(str), "requester": str},
)
ItemCompleted = LogEvent(
    event="ItemCompleted",
    params={"item_id": indexed(str), "worker": indexed(str), "result_uri": str},
)
ItemFailed = LogEvent(
    event="ItemFailed",
    params={"item_id": indexed(str), "worker": indexed(str), "reason": str},
)
ItemCancelled = LogEvent(
    event="ItemCancelled",
    params={"item_id": indexed(str), "actor": indexed(str), "reason": str},
)
WorkerAdded = LogEvent(
    event="WorkerAdded", params={"account": indexed(str), "actor": indexed(str)}
)
WorkerRemoved = LogEvent(
    event="WorkerRemoved", params={"account": indexed(str), "actor": indexed(str)}
)
AgentAdded = LogEvent(
    event="AgentAdded", params={"account": indexed(str), "actor": indexed(str)}
)
AgentRemoved = LogEvent(
    event="AgentRemoved", params={"account": indexed(str), "actor": indexed(str)}
)
OperatorProposed = LogEvent(
    event="OperatorProposed", params={"account": indexed(str), "actor": indexed(str)}
)
OperatorChanged = LogEvent(
    event="OperatorChanged", params={"account": indexed(str), "previous": indexed(str)}
)

# 128 entries of 1 KiB each (record, key and event) are what one transaction may write.
MAX_BATCH = 128
MAX_ID = 128
MAX_KIND = 64
MAX_URI = 1024
MAX_REASON = 512
MAX_ATTEMPT = 1000000000
MIN_LEASE = 5
MAX_LEASE = 86400
DEFAULT_LEASE = 300

ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
PRINTABLE = (
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
    "abcdefghijklmnopqrstuvwxyz{|}~"
)
HEX = "0123456789abcdef"
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"

# A receipt keeps the first 1,024 characters of an answer. So a batch answers in text with a letter
# and the item's attempt for each entry: "a1a1k0". Below: what a letter means.
OK = "a"
IN_STATE = {"submitted": "b", "processing": "c", "completed": "d", "failed": "e", "cancelled": "f"}
HELD = "g"
EXISTS = "h"
MISSING = "i"
NOT_WORKER = "j"
NOT_HOLDER = "k"
NOT_REQUESTER = "l"
LEASED = "m"
STALE = "n"
BAD_ENTRY = "o"
BAD_ID = "p"
BAD_KIND = "q"
BAD_PAYLOAD = "r"
BAD_METADATA = "s"
BAD_RESULT = "t"
BAD_REASON = "u"
BAD_ATTEMPT = "v"
BAD_LEASE = "w"

# The status from which an action moves an item; a claim may also take over one that is processing.
FROM = {
    "claim": "submitted",
    "complete": "processing",
    "fail": "processing",
    "renew": "processing",
    "release": "processing",
    "cancel": "submitted",
    "retry": "failed",
}


@construct
def seed(name: str = "Job Workflow", operator: str = None):
    if operator is None:
        operator = ctx.caller
    assert_account(operator)
    metadata["name"] = name
    metadata["operator"] = operator
    workers[operator] = True


@export
def get_answers():
    return {
        "a": "ok",
        "b": "state: the item is submitted",
        "c": "state: the item is processing",
        "d": "state: the item is completed",
        "e": "state: the item is failed",
        "f": "state: the item is cancelled",
        "g": "state: this worker holds the item already",
        "h": "exists: there is an item with this item_id",
        "i": "missing: there is no item with this item_id",
        "j": "forbidden: only workers may do this",
        "k": "forbidden: only the worker that holds the item may do this",
        "l": "forbidden: only the requester, its agents and the operator may do this",
        "m": "leased: another worker holds the item and its lease has not passed",
        "n": "stale: the attempt is not the current one of the item",
        "o": "invalid: an entry is a dict with an item_id and, for apply_items, an action",
        "p": "invalid: item_id must be 1 to 128 of the characters A-Z a-z 0-9 _ -",
        "q": "invalid: kind must be at most 64 of the characters A-Z a-z 0-9 _ -",
        "r": "invalid: payload_uri must be at most 1024 printable ASCII characters",
        "s": "invalid: metadata_ref must be at most 1024 printable ASCII characters",
        "t": "invalid: result_uri must be at most 1024 printable ASCII characters",
        "u": "invalid: reason must be at most 512 printable ASCII characters",
        "v": "invalid: attempt must be an integer from 0 to 1000000000",
        "w": "invalid: lease_seconds must be 0 or an integer from 5 to 86400",
    }



# `text.strip(characters) == ""` holds exactly when the text has no other character: one step in
# the VM where a loop would take one for each character.


def is_text(value, longest, characters):
    return isinstance(value, str) and len(value) <= longest and value.strip(characters) == ""


def is_id(value):
    return is_text(value, MAX_ID, ID_CHARACTERS) and value != ""


def is_number(value, smallest, largest):
    return isinstance(value, int) and (value == 0 or smallest <= value <= largest)


def is_account(value):
    if not is_text(value, 64, NAME_CHARACTERS):
        return False
    return value.startswith("con_") or (len(value) == 64 and value.strip(HEX) == "")


def assert_account(account):
    assert is_account(account), (
        "an account is 64 lowercase hexadecimal digits or the name of a contract, con_..."
    )


def assert_operator():
    assert ctx.caller == metadata["operator"], "only the operator may do this"


def assert_batch(batch):
    assert isinstance(batch, list) and len(batch) <= MAX_BATCH, (
        "a batch is a list of at most 128 entries"
    )


def check(action, entry):
    """Judge the fields of an entry for an existing item."""
    if action == "complete":
        if not is_text(entry.get("result_uri"), MAX_URI, PRINTABLE):
            return BAD_RESULT
    elif action in ("fail", "cancel"):
        reason = entry.get("reason", "" if action == "cancel" else None)
        if not is_text(reason, MAX_REASON, PRINTABLE):
            return BAD_REASON
    if not is_number(entry.get("attempt", 0), 1, MAX_ATTEMPT):
        return BAD_ATTEMPT
    if not is_number(entry.get("lease_seconds", 0), MIN_LEASE, MAX_LEASE):
        return BAD_LEASE
    return OK


def allow(action, entry, record, caller, is_working, at):
    """Say whether the caller may move the item, or why not."""
    status = record["status"]
    if action in ("cancel", "retry"):
        requester = record["requester"]
        if caller not in (requester, metadata["operator"]) and not agents[requester, caller]:
            return NOT_REQUESTER
    elif not is_working:
        return NOT_WORKER
    elif action == "claim":
        if status == "processing":
            if record["worker"] == caller:
                return HELD
            return OK if has_expired(record, at) else LEASED
    else:
        # Stale comes first: to a worker that was late it tells more than who is the holder now.
        if entry.get("attempt", 0) not in (0, record["attempt"]):
            return STALE
        if status == "processing" and record["worker"] != caller:
            return NOT_HOLDER
    return OK if status == FROM[action] else IN_STATE[status]


def has_expired(record, at):
    """Tell whether a contender may take the item over; the first one starts the clock.

    A block's `now` is about when the block before it was made, which may be hours ago. So a lease
    does not run from the claim's `now` but from that of a later block, in which somebody contends:
    it is never before the claim was in a block.
    """
    contested_at = record["contested_at"]
    if contested_at is None:
        # While an item is held, updated_at is the `now` of its claim or last renewal, and no two
        # blocks have the same: an equal time means the same block.
        if record["updated_at"] != at:
            record["contested_at"] = at
            items[record["item_id"]] = record
        return False
    # As text, times compare as they do in time.
    return contested_at <= str(now + datetime.timedelta(seconds=-record["lease_seconds"]))


def submit(item_id, entry, caller, at):
    kind = entry.get("kind")
    if kind is None or kind == "":
        kind = "job"
    payload_uri = entry.get("payload_uri")
    metadata_ref = entry.get("metadata_ref")
    if metadata_ref is None:
        metadata_ref = ""
    if not is_text(kind, MAX_KIND, ID_CHARACTERS):
        return BAD_KIND + "0"
    if not is_text(payload_uri, MAX_URI, PRINTABLE):
        return BAD_PAYLOAD + "0"
    if not is_text(metadata_ref, MAX_URI, PRINTABLE):
        return BAD_METADATA + "0"
    record = items[item_id]
    if record is not None:
        return EXISTS + str(record["attempt"])
    items[item_id] = {
        "item_id": item_id,
        "requester": caller,
        "kind": kind,
        "payload_uri": payload_uri,
        "metadata_ref": metadata_ref,
        "status": "submitted",
        "worker": "",
        "result_uri": "",
        "failure_reason": "",
        "created_at": at,
        "updated_at": at,
        "attempt": 0,
        "lease_seconds": 0,
        "contested_at": None,
    }
    ItemSubmitted({"item_id": item_id, "kind": kind, "requester": caller})
    return OK + "0"


def move(action, item_id, entry, record, caller, at):
    """Do what is allowed: change the record and tell of it."""
    lease_seconds = entry.get("lease_seconds", 0)
    requester = record["requester"]
    record["updated_at"] = at
    record["contested_at"] = None
    if action == "claim":
        record["status"] = "processing"
        record["worker"] = caller
        record["attempt"] += 1
        record["lease_seconds"] = lease_seconds or DEFAULT_LEASE
        ItemClaimed({"item_id": item_id, "worker": caller, "requester": requester})
    elif action == "renew":
        record["lease_seconds"] = lease_seconds or record["lease_seconds"]
    else:
        record["lease_seconds"] = 0
        if action == "complete":
            record["status"] = "completed"
            record["result_uri"] = entry["result_uri"]
            ItemCompleted(
                {"item_id": item_id, "worker": caller, "result_uri": record["result_uri"]}
            )
        elif action == "fail":
            record["status"] = "failed"
            record["failure_reason"] = entry["reason"]
            ItemFailed({"item_id": item_id, "worker": caller, "reason": entry["reason"]})
        elif action == "cancel":
            reason = entry.get("reason", "")
            record["status"] = "cancelled"
            record["failure_reason"] = reason
            ItemCancelled({"item_id": item_id, "actor": caller, "reason": reason})
        else:
            record["status"] = "submitted"
            record["worker"] = ""
            record["failure_reason"] = ""
            ItemSubmitted({"item_id": item_id, "kind": record["kind"], "requester": requester})
    items[item_id] = record
    return OK + str(record["attempt"])


def perform(action, entry, caller, is_working, at):
    """Do one entry and answer its letter and attempt.

    What an entry holds is judged before any of it reaches a hash: a wrong key would fail the call.
    """
    if not isinstance(entry, dict):
        return BAD_ENTRY + "0"
    if action is None:
        action = entry.get("action")
    item_id = entry.get("item_id")
    if not is_id(item_id):
        return BAD_ID + "0"
    if action == "submit":
        return submit(item_id, entry, caller, at)
    if action not in FROM:
        return BAD_ENTRY + "0"
    letter = check(action, entry)
    if letter != OK:
        return letter + "0"
    record = items[item_id]
    if record is None:
        return MISSING + "0"
    letter = allow(action, entry, record, caller, is_working, at)
    if letter != OK:
        return letter + str(record["attempt"])
    return move(action, item_id, entry, record, caller, at)


def perform_one(action, entry):
    answer = perform(action, entry, ctx.caller, workers[ctx.caller], str(now))
    assert answer[0] == OK, get_answers()[answer[0]]
    return items[entry["item_id"]]


def perform_each(action, batch):
    assert_batch(batch)
    caller = ctx.caller
    is_working = workers[caller]
    at = str(now)
    return "".join([perform(action, entry, caller, is_working, at) for entry in batch])


@export
def apply_items(batch: list):
    return perform_each(None, batch)


@export
def submit_item(item_id: str, payload_uri: str, kind: str = "job", metadata_ref: str = ""):
    return perform_one(
        "submit",
        {
            "item_id": item_id,
            "payload_uri": payload_uri,
            "kind": kind,
            "metadata_ref": metadata_ref,
        },
    )


@export
def submit_items(batch: list):
    return perform_each("submit", batch)


@export
def claim_item(item_id: str, lease_seconds: int = 0):
    return perform_one("claim", {"item_id": item_id, "lease_seconds": lease_seconds})


@export
def claim_items(item_ids: list, lease_seconds: int = 0):
    assert_batch(item_ids)
    return perform_each(
        "claim", [{"item_id": item_id, "lease_seconds": lease_seconds} for item_id in item_ids]
    )


@export
def complete_item(item_id: str, result_uri: str, attempt: int = 0):
    return perform_one(
        "complete", {"item_id": item_id, "result_uri": result_uri, "attempt": attempt}
    )


@export
def complete_items(batch: list):
    return perform_each("complete", batch)


@export
def fail_item(item_id: str, reason: str, attempt: int = 0):
    return perform_one("fail", {"item_id": item_id, "reason": reason, "attempt": attempt})


@export
def fail_items(batch: list):
    return perform_each("fail", batch)


@export
def cancel_item(item_id: str, reason: str = ""):
    return perform_one("cancel", {"item_id": item_id, "reason": reason})


@export
def cancel_items(batch: list):
    return perform_each("cancel", batch)


@export
def retry_item(item_id: str):
    return perform_one("retry", {"item_id": item_id})


@export
def retry_items(item_ids: list):
    assert_batch(item_ids)
    return perform_each("retry", [{"item_id": item_id} for item_id in item_ids])


@export
def renew_item(item_id: str, attempt: int = 0, lease_seconds: int = 0):
    return perform_one(
        "renew", {"item_id": item_id, "attempt": attempt, "lease_seconds": lease_seconds}
    )


@export
def renew_items(batch: list):
    return perform_each("renew", batch)


@export
def release_item(item_id: str, attempt: int = 0):
    return perform_one("release", {"item_id": item_id, "attempt": attempt})


@export
def release_items(batch: list):
    return perform_each("release", batch)


@export
def get_item(item_id: str):
    record = items[item_id] if is_id(item_id) else None
    if record is not None:
        return record
    return {
        "item_id": item_id,
        "requester": None,
        "kind": None,
        "payload_uri": None,
        "metadata_ref": None,
        "status": None,
        "worker": None,
        "result_uri": None,
        "failure_reason": None,
        "created_at": None,
        "updated_at": None,
        "attempt": None,
        "lease_seconds": None,
        "contested_at": None,
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
    WorkerAdded({"account": account, "actor": ctx.caller})


@export
def remove_worker(account: str):
    assert_operator()
    assert_account(account)
    assert account != ctx.caller, "the operator stays a worker"
    workers[account] = False
    WorkerRemoved({"account": account, "actor": ctx.caller})


@export
def is_worker(account: str):
    return is_account(account) and workers[account]


@export
def add_agent(account: str):
    assert_account(account)
    agents[ctx.caller, account] = True
    AgentAdded({"account": account, "actor": ctx.caller})


@export
def remove_agent(account: str):
    assert_account(account)
    agents[ctx.caller, account] = False
    AgentRemoved({"account": account, "actor": ctx.caller})


@export
def is_agent(principal: str, account: str):
    return is_account(principal) and is_account(account) and agents[principal, account]


@export
def propose_operator(account: str):
    assert_operator()
    assert_account(account)
    metadata["proposed_operator"] = account
    OperatorProposed({"account": account, "actor": ctx.caller})


@export
def accept_operator():
    assert ctx.caller == metadata["proposed_operator"], (
        "only the account that the operator proposed may do this"
    )
    previous = metadata["operator"]
    metadata["operator"] = ctx.caller
    metadata["proposed_operator"] = None
    workers[ctx.caller] = True
    OperatorChanged({"account": ctx.caller, "previous": previous})


@export
def get_operator():
    return metadata["operator"]
