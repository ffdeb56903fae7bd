"""A shared queue of work: requesters submit items, workers claim them and report what came of them.

README.md draws the states and says who may move an item between them. One record holds all of an
item, so one read shows it whole. Every function exists for one item, where a refusal fails the
call, and for a batch, where each entry is answered by itself and none fails the call.

The VM reads the contract anew for each transaction and copies a function's body for each call, in
time proportional to their length. So the contract is terse, and a batch is one loop in one function.
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
MAX_NAME = 128
MAX_ID = 128
MAX_KIND = 64
MAX_CLIENT = 64
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
BAD_CLIENT = "x"

ACTIONS = ["submit", "claim", "complete", "fail", "renew", "release", "cancel", "retry"]


@construct
def seed(name: str = "Job Workflow", operator: str = None):
    operator = operator or ctx.caller
    assert is_text(name, MAX_NAME), "the name must be at most 128 printable ASCII characters"
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
        "x": "invalid: client must be at most 64 of the characters A-Z a-z 0-9 _ -",
    }



# `text.strip(characters) == ""` holds exactly when the text has no other character: one step in
# the VM where a loop would take one for each character.


def is_id(value):
    return isinstance(value, str) and 0 < len(value) <= MAX_ID and value.strip(ID_CHARACTERS) == ""


def is_text(value, longest):
    return isinstance(value, str) and len(value) <= longest and value.strip(PRINTABLE) == ""


def is_account(value):
    if not isinstance(value, str) or len(value) > 64 or value.strip(NAME_CHARACTERS) != "":
        return False
    return value.startswith("con_") or (len(value) == 64 and value.strip(HEX) == "")


def assert_account(account):
    assert is_account(account), (
        "an account is 64 lowercase hexadecimal digits or con_ and up to 60 of a-z 0-9 _"
    )


def assert_operator():
    assert ctx.caller == metadata["operator"], "only the operator may do this"


def assert_batch(batch):
    assert isinstance(batch, list) and len(batch) <= MAX_BATCH, (
        "a batch is a list of at most 128 entries"
    )


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


def perform(action, batch):
    """Do the entries in order and answer each with a letter and the attempt of its item.

    `action` is that of all entries, or None where each names its own.
    """
    assert_batch(batch)
    caller = ctx.caller
    is_working = workers[caller]
    at = str(now)
    answers = ""
    for entry in batch:
        if not isinstance(entry, dict):
            answers += BAD_ENTRY + "0"
            continue
        verb = entry.get("action") if action is None else action
        item_id = entry.get("item_id")
        kind = entry.get("kind")
        metadata_ref = entry.get("metadata_ref")
        payload_uri = entry.get("payload_uri")
        result_uri = entry.get("result_uri")
        reason = entry.get("reason")
        expected = entry.get("attempt", 0)
        lease_seconds = entry.get("lease_seconds", 0)
        if kind is None or kind == "":
            kind = "job"
        if metadata_ref is None:
            metadata_ref = ""
        if reason is None and verb != "fail":
            reason = ""

        # First the entry itself, before any of it reaches a hash: a wrong key would fail the call.
        letter = OK
        attempt = 0
        if verb not in ACTIONS:
            letter = BAD_ENTRY
        elif not is_id(item_id):
            letter = BAD_ID
        elif verb == "submit":
            client = entry.get("client")
            if client is None:
                client = ""
            if not is_text(payload_uri, MAX_URI):
                letter = BAD_PAYLOAD
            elif metadata_ref != "" and not is_text(metadata_ref, MAX_URI):
                letter = BAD_METADATA
            elif kind != "job" and not (is_id(kind) and len(kind) <= MAX_KIND):
                letter = BAD_KIND
            elif client != "" and not (is_id(client) and len(client) <= MAX_CLIENT):
                letter = BAD_CLIENT
        elif verb == "complete" and not is_text(result_uri, MAX_URI):
            letter = BAD_RESULT
        elif reason != "" and not is_text(reason, MAX_REASON):
            letter = BAD_REASON
        elif not isinstance(expected, int) or not 0 <= expected <= MAX_ATTEMPT:
            letter = BAD_ATTEMPT
        elif not isinstance(lease_seconds, int) or not (
            lease_seconds == 0 or MIN_LEASE <= lease_seconds <= MAX_LEASE
        ):
            letter = BAD_LEASE
        if letter != OK:
            answers += letter + "0"
            continue

        # Then whether the item is there, and the caller may do this to it.
        record = items[item_id]
        if record is None:
            if verb != "submit":
                answers += MISSING + "0"
                continue
            record = {
                "item_id": item_id,
                "requester": caller,
                "kind": kind,
                "payload_uri": payload_uri,
                "metadata_ref": metadata_ref,
                "client": client,
                "status": "",
                "worker": "",
                "result_uri": "",
                "failure_reason": "",
                "created_at": at,
                "updated_at": at,
                "attempt": 0,
                "lease_seconds": 0,
                "contested_at": None,
            }
        attempt = record["attempt"]
        status = record["status"]
        requester = record["requester"]
        if verb == "submit":
            if status != "":
                letter = EXISTS
        elif verb == "cancel" or verb == "retry":
            if not (
                caller == requester or agents[requester, caller] or caller == metadata["operator"]
            ):
                letter = NOT_REQUESTER
            elif status != ("submitted" if verb == "cancel" else "failed"):
                letter = IN_STATE[status]
        elif not is_working:
            letter = NOT_WORKER
        elif verb == "claim":
            if status == "processing":
                if record["worker"] == caller:
                    letter = HELD
                elif not has_expired(record, at):
                    letter = LEASED
            elif status != "submitted":
                letter = IN_STATE[status]
        elif expected != 0 and expected != attempt:
            letter = STALE
        elif status != "processing":
            letter = IN_STATE[status]
        elif record["worker"] != caller:
            letter = NOT_HOLDER
        if letter != OK:
            answers += letter + str(attempt)
            continue

        # Then do it, and tell of it.
        record["updated_at"] = at
        record["contested_at"] = None
        if verb == "claim":
            attempt += 1
            record["status"] = "processing"
            record["worker"] = caller
            record["attempt"] = attempt
            record["lease_seconds"] = lease_seconds or DEFAULT_LEASE
            ItemClaimed({"item_id": item_id, "worker": caller, "requester": requester})
        elif verb == "renew":
            record["lease_seconds"] = lease_seconds or record["lease_seconds"]
        else:
            record["lease_seconds"] = 0
            if verb == "complete":
                record["status"] = "completed"
                record["result_uri"] = result_uri
                ItemCompleted({"item_id": item_id, "worker": caller, "result_uri": result_uri})
            elif verb == "fail":
                record["status"] = "failed"
                record["failure_reason"] = reason
                ItemFailed({"item_id": item_id, "worker": caller, "reason": reason})
            elif verb == "cancel":
                record["status"] = "cancelled"
                record["failure_reason"] = reason
                ItemCancelled({"item_id": item_id, "actor": caller, "reason": reason})
            else:
                record["status"] = "submitted"
                record["worker"] = ""
                record["failure_reason"] = ""
                ItemSubmitted({"item_id": item_id, "kind": record["kind"], "requester": requester})
        items[item_id] = record
        answers += OK + str(attempt)
    return answers


def perform_one(action, entry):
    letter = perform(action, [entry])[0]
    assert letter == OK, get_answers()[letter]
    return items[entry["item_id"]]


@export
def apply_items(batch: list):
    return perform(None, batch)


@export
def submit_item(
    item_id: str, payload_uri: str, kind: str = "job", metadata_ref: str = "", client: str = ""
):
    return perform_one(
        "submit",
        {
            "item_id": item_id,
            "payload_uri": payload_uri,
            "kind": kind,
            "metadata_ref": metadata_ref,
            "client": client,
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
        "client": None,
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
