"""A shared queue of work: requesters submit items, workers claim them and report what came of them.

README.md draws the states and says who may move an item between them. One record holds all of an
item, so that one read shows it whole. Every function exists for one item, where a refusal fails the
call, and for a batch, where each entry is answered by itself and the call never fails for one of
them.
"""

metadata = Hash()
workers = Hash(default_value=False)
agents = Hash(default_value=False)
items = Hash()

ItemSubmitted = LogEvent(
    event="ItemSubmitted",
    params={
        "item_id": {"type": str, "idx": True},
        "kind": {"type": str, "idx": True},
        "requester": {"type": str, "idx": True},
    },
)
ItemClaimed = LogEvent(
    event="ItemClaimed",
    params={
        "item_id": {"type": str, "idx": True},
        "worker": {"type": str, "idx": True},
        "requester": str,
    },
)
ItemCompleted = LogEvent(
    event="ItemCompleted",
    params={
        "item_id": {"type": str, "idx": True},
        "worker": {"type": str, "idx": True},
        "result_uri": str,
    },
)
ItemFailed = LogEvent(
    event="ItemFailed",
    params={
        "item_id": {"type": str, "idx": True},
        "worker": {"type": str, "idx": True},
        "reason": str,
    },
)
ItemCancelled = LogEvent(
    event="ItemCancelled",
    params={
        "item_id": {"type": str, "idx": True},
        "actor": {"type": str, "idx": True},
        "reason": str,
    },
)
WorkerAdded = LogEvent(
    event="WorkerAdded",
    params={"account": {"type": str, "idx": True}, "actor": {"type": str, "idx": True}},
)
WorkerRemoved = LogEvent(
    event="WorkerRemoved",
    params={"account": {"type": str, "idx": True}, "actor": {"type": str, "idx": True}},
)
AgentAdded = LogEvent(
    event="AgentAdded",
    params={"account": {"type": str, "idx": True}, "principal": {"type": str, "idx": True}},
)
AgentRemoved = LogEvent(
    event="AgentRemoved",
    params={"account": {"type": str, "idx": True}, "principal": {"type": str, "idx": True}},
)
OperatorProposed = LogEvent(
    event="OperatorProposed",
    params={"account": {"type": str, "idx": True}, "actor": {"type": str, "idx": True}},
)
OperatorChanged = LogEvent(
    event="OperatorChanged",
    params={"account": {"type": str, "idx": True}, "previous": {"type": str, "idx": True}},
)

MAX_BATCH = 128
MAX_ID = 128
MAX_KIND = 64
MAX_URI = 1024
MAX_REASON = 512
MAX_ATTEMPT = 1000000000
MIN_LEASE = 5
MAX_LEASE = 86400
DEFAULT_LEASE = 300

# `text.strip(CHARACTERS) == ""` holds exactly when the text has no other character: one native
# step where a loop over the characters would cost the VM a step for each.
ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
PRINTABLE = (
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
    "abcdefghijklmnopqrstuvwxyz{|}~"
)
HEX = "0123456789abcdef"
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"

# A receipt keeps the first 1,024 characters of a call's answer, so a batch answers with a letter
# and the item's attempt for each entry: "a1a1k0". `get_answers` tells what each letter means.
OK = "a"
BAD_ENTRY = "b"
BAD_ID = "c"
BAD_KIND = "d"
BAD_PAYLOAD = "e"
BAD_METADATA = "f"
BAD_RESULT = "g"
BAD_REASON = "h"
BAD_ATTEMPT = "i"
BAD_LEASE = "j"
EXISTS = "k"
MISSING = "l"
NOT_WORKER = "m"
NOT_HOLDER = "n"
NOT_REQUESTER = "o"
LEASED = "p"
STALE = "q"
HELD = "r"
IN_STATE = {
    "submitted": "s",
    "processing": "t",
    "completed": "u",
    "failed": "v",
    "cancelled": "w",
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
        OK: ["ok", ""],
        BAD_ENTRY: [
            "invalid",
            "an entry is a dict with an item_id and, in apply_items, an action: submit, claim, "
            "complete, fail, cancel, retry, renew or release",
        ],
        BAD_ID: ["invalid", "item_id must be 1 to 128 of the characters A-Z a-z 0-9 _ -"],
        BAD_KIND: ["invalid", "kind must be at most 64 of the characters A-Z a-z 0-9 _ -"],
        BAD_PAYLOAD: ["invalid", "payload_uri must be at most 1024 printable ASCII characters"],
        BAD_METADATA: ["invalid", "metadata_ref must be at most 1024 printable ASCII characters"],
        BAD_RESULT: ["invalid", "result_uri must be at most 1024 printable ASCII characters"],
        BAD_REASON: ["invalid", "reason must be at most 512 printable ASCII characters"],
        BAD_ATTEMPT: ["invalid", "attempt must be an integer from 0 to 1000000000"],
        BAD_LEASE: ["invalid", "lease_seconds must be 0 or an integer from 5 to 86400"],
        EXISTS: ["exists", "an item with this item_id exists"],
        MISSING: ["missing", "there is no item with this item_id"],
        NOT_WORKER: ["forbidden", "only workers may do this"],
        NOT_HOLDER: ["forbidden", "only the worker that holds the item may do this"],
        NOT_REQUESTER: [
            "forbidden",
            "only the requester, an agent of the requester or the operator may do this",
        ],
        LEASED: ["leased", "another worker holds the item and its lease has not passed"],
        STALE: ["stale", "this is not the current attempt"],
        HELD: ["state", "this worker holds the item already"],
        IN_STATE["submitted"]: ["state", "the item is submitted"],
        IN_STATE["processing"]: ["state", "the item is processing"],
        IN_STATE["completed"]: ["state", "the item is completed"],
        IN_STATE["failed"]: ["state", "the item is failed"],
        IN_STATE["cancelled"]: ["state", "the item is cancelled"],
    }


def is_id(value):
    return (
        isinstance(value, str) and 0 < len(value) <= MAX_ID and value.strip(ID_CHARACTERS) == ""
    )


def is_text(value, longest):
    return isinstance(value, str) and len(value) <= longest and value.strip(PRINTABLE) == ""


def is_attempt(value):
    return isinstance(value, int) and 0 <= value <= MAX_ATTEMPT


def is_lease(value):
    return isinstance(value, int) and (value == 0 or MIN_LEASE <= value <= MAX_LEASE)


def is_account(value):
    if not isinstance(value, str) or len(value) > 64:
        return False
    if len(value) == 64 and value.strip(HEX) == "":
        return True
    return value.startswith("con_") and value.strip(NAME_CHARACTERS) == ""


def assert_account(account):
    assert is_account(account), (
        "account must be 64 lowercase hexadecimal digits or the name of a contract"
    )


def assert_operator():
    assert ctx.caller == metadata["operator"], "only the operator may do this"


def assert_batch(batch):
    assert isinstance(batch, list) and len(batch) <= MAX_BATCH, (
        "a batch must be a list of at most 128 entries"
    )


# The functions below answer one entry: the letter, then the item's attempt after it. What an
# entry holds is checked before a hash is touched, because a wrong key would fail the whole call.


def submit(item_id, entry, caller, at):
    kind = entry.get("kind")
    if kind is None or kind == "":
        kind = "job"
    metadata_ref = entry.get("metadata_ref")
    if metadata_ref is None:
        metadata_ref = ""
    payload_uri = entry.get("payload_uri")
    if not (isinstance(kind, str) and len(kind) <= MAX_KIND and kind.strip(ID_CHARACTERS) == ""):
        return f"{BAD_KIND}0"
    if not is_text(payload_uri, MAX_URI):
        return f"{BAD_PAYLOAD}0"
    if not is_text(metadata_ref, MAX_URI):
        return f"{BAD_METADATA}0"
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
    return f"{OK}0"


def claim(item_id, entry, caller, is_working, at):
    lease_seconds = entry.get("lease_seconds", 0)
    if not is_lease(lease_seconds):
        return f"{BAD_LEASE}0"
    record = items[item_id]
    if record is None:
        return f"{MISSING}0"
    attempt = record["attempt"]
    if not is_working:
        return f"{NOT_WORKER}{attempt}"
    status = record["status"]
    if status == "processing":
        if record["worker"] == caller:
            return f"{HELD}{attempt}"
        if not has_expired(item_id, record, at):
            return f"{LEASED}{attempt}"
    elif status != "submitted":
        return f"{IN_STATE[status]}{attempt}"
    attempt += 1
    record["status"] = "processing"
    record["worker"] = caller
    record["attempt"] = attempt
    record["lease_seconds"] = lease_seconds or DEFAULT_LEASE
    record["contested_at"] = None
    record["updated_at"] = at
    items[item_id] = record
    ItemClaimed({"item_id": item_id, "worker": caller, "requester": record["requester"]})
    return f"{OK}{attempt}"


def has_expired(item_id, record, at):
    """Tell whether a contender may take the item over, and note when it was first contested.

    A block's `now` is about when the block before it was made, which may be hours ago. So the
    lease is not counted from the claim's `now` but from the `now` of a later block, in which
    somebody contends: that is never before the claim was in a block.
    """
    contested_at = record["contested_at"]
    if contested_at is None:
        # While an item is held, updated_at is the time of its claim or last renewal. Times of
        # blocks differ, so an equal time means the same block.
        if record["updated_at"] != at:
            record["contested_at"] = at
            items[item_id] = record
        return False
    # Times written alike compare as text as they do in time; with no parsing, nothing can fail.
    return contested_at <= str(now + datetime.timedelta(seconds=-record["lease_seconds"]))


def report(action, item_id, entry, caller, is_working, at):
    attempt = entry.get("attempt", 0)
    if not is_attempt(attempt):
        return f"{BAD_ATTEMPT}0"
    if action == "complete":
        if not is_text(entry.get("result_uri"), MAX_URI):
            return f"{BAD_RESULT}0"
    elif action == "fail":
        if not is_text(entry.get("reason"), MAX_REASON):
            return f"{BAD_REASON}0"
    elif action == "renew":
        if not is_lease(entry.get("lease_seconds", 0)):
            return f"{BAD_LEASE}0"
    record = items[item_id]
    if record is None:
        return f"{MISSING}0"
    current = record["attempt"]
    if not is_working:
        return f"{NOT_WORKER}{current}"
    if attempt != 0 and attempt != current:
        return f"{STALE}{current}"
    if record["status"] != "processing":
        return IN_STATE[record["status"]] + f"{current}"
    if record["worker"] != caller:
        return f"{NOT_HOLDER}{current}"
    record["updated_at"] = at
    record["contested_at"] = None
    if action == "renew":
        record["lease_seconds"] = entry.get("lease_seconds", 0) or record["lease_seconds"]
        items[item_id] = record
        return f"{OK}{current}"
    record["lease_seconds"] = 0
    if action == "complete":
        record["status"] = "completed"
        record["result_uri"] = entry["result_uri"]
        items[item_id] = record
        ItemCompleted({"item_id": item_id, "worker": caller, "result_uri": entry["result_uri"]})
    elif action == "fail":
        record["status"] = "failed"
        record["failure_reason"] = entry["reason"]
        items[item_id] = record
        ItemFailed({"item_id": item_id, "worker": caller, "reason": entry["reason"]})
    else:
        submit_again(item_id, record)
    return f"{OK}{current}"


def submit_again(item_id, record):
    record["status"] = "submitted"
    record["worker"] = ""
    record["failure_reason"] = ""
    items[item_id] = record
    ItemSubmitted(
        {"item_id": item_id, "kind": record["kind"], "requester": record["requester"]}
    )


def direct(action, item_id, entry, caller, at):
    reason = entry.get("reason", "")
    if not is_text(reason, MAX_REASON):
        return f"{BAD_REASON}0"
    record = items[item_id]
    if record is None:
        return f"{MISSING}0"
    attempt = record["attempt"]
    requester = record["requester"]
    if (
        caller != requester
        and not agents[requester, caller]
        and caller != metadata["operator"]
    ):
        return f"{NOT_REQUESTER}{attempt}"
    status = record["status"]
    if status != ("submitted" if action == "cancel" else "failed"):
        return f"{IN_STATE[status]}{attempt}"
    record["updated_at"] = at
    if action == "retry":
        submit_again(item_id, record)
        return f"{OK}{attempt}"
    record["status"] = "cancelled"
    record["failure_reason"] = reason
    items[item_id] = record
    ItemCancelled({"item_id": item_id, "actor": caller, "reason": reason})
    return f"{OK}{attempt}"


def perform(action, entry, caller, is_working, at):
    if not isinstance(entry, dict):
        return f"{BAD_ENTRY}0"
    item_id = entry.get("item_id")
    if not is_id(item_id):
        return f"{BAD_ID}0"
    if action == "submit":
        return submit(item_id, entry, caller, at)
    if action == "claim":
        return claim(item_id, entry, caller, is_working, at)
    if action in ("complete", "fail", "renew", "release"):
        return report(action, item_id, entry, caller, is_working, at)
    if action in ("cancel", "retry"):
        return direct(action, item_id, entry, caller, at)
    return f"{BAD_ENTRY}0"


def perform_each(action, batch):
    assert_batch(batch)
    caller = ctx.caller
    is_working = workers[caller]
    at = str(now)
    return "".join([perform(action, entry, caller, is_working, at) for entry in batch])


def perform_one(action, entry):
    answer = perform(action, entry, ctx.caller, workers[ctx.caller], str(now))
    assert answer[0] == OK, get_answers()[answer[0]][1]
    return items[entry["item_id"]]


@export
def apply_items(batch: list):
    assert_batch(batch)
    caller = ctx.caller
    is_working = workers[caller]
    at = str(now)
    return "".join(
        [
            perform(
                entry.get("action") if isinstance(entry, dict) else None,
                entry,
                caller,
                is_working,
                at,
            )
            for entry in batch
        ]
    )


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
    AgentAdded({"account": account, "principal": ctx.caller})


@export
def remove_agent(account: str):
    assert_account(account)
    agents[ctx.caller, account] = False
    AgentRemoved({"account": account, "principal": ctx.caller})


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
