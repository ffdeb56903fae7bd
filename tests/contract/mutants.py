"""The second version's rules, each with a way to break it: a piece of the source, and another."""

from .jobs import SECOND
from .vm import CONTRACTS


def mutant(rule: str) -> str:
    """Return the contract's source with a rule broken."""
    source = (CONTRACTS / SECOND.file).read_text(encoding="utf-8")
    piece, other = MUTANTS[rule]
    assert source.count(piece) == 1, rule
    return source.replace(piece, other)


MUTANTS = {
    # Claims
    "claimed early": ('"z" if "not_before" in record and', '"z" if False and'),
    "claimed a second early": (
        'record["not_before"] > seconds',
        'record["not_before"] > seconds + 1',
    ),
    "claimed before one of two": (
        "False in [is_completed(other)",
        "True not in [is_completed(other)",
    ),
    "claimed before what comes first": (
        'else "A" if "after" in record\n',
        'else "A" if False and "after" in record\n',
    ),
    "claimed after a failure": (
        '"completed" in [record["status"], record.get("ended")]',
        'record["status"] in "completed failed" or record.get("ended") == "completed"',
    ),
    "claimed after an archived failure": (
        '"completed" in [record["status"], record.get("ended")]',
        'record["status"] in "completed archived"',
    ),
    "archived completion forgotten": (
        'record["status"], record.get("ended")]',
        'record["status"]]',
    ),
    "claimed in a pause": ('"B" if pauses and', '"B" if False and'),
    "claimed in a pause of all": ('for name in [kind, "*"]', "for name in [kind]"),
    "claimed in a pause of the kind": ('for name in [kind, "*"]', 'for name in ["*"]'),
    "pause ends a second early": ('["until"] <= seconds', '["until"] <= seconds + 1'),
    "pause without end ends": ('not 0 < pauses[name]["until"]', 'not 0 <= pauses[name]["until"]'),
    "claimed by anybody": ('"j" if not is_working and not is_ending', '"j" if False'),
    "claimed twice by its holder": ('"g" if is_holder and not is_ending', '"g" if False'),
    "claimed after its end": (
        'IN_STATE[status] if status not in "submitted processing"\n',
        'IN_STATE[status] if status == "completed"\n',
    ),
    "two holders": ('"m" if is_held and not has_passed', '"m" if False and not has_passed'),
    "lease ends a second early": ("seconds=-seconds))", "seconds=1 - seconds))"),
    "clock starts in the block of the claim": ('if record["updated_at"] != str(now):', "if True:"),
    "first contender takes over": (
        '        items[record["item_id"]] = record\n    return False',
        '        items[record["item_id"]] = record\n    return True',
    ),
    "clock is not kept": (
        '        items[record["item_id"]] = record\n    return False',
        "    return False",
    ),
    "renewal keeps the clock": (
        '                        record["contested_at"] = ""\n',
        "                        pass\n",
    ),
    "lease of a renewal forgotten": ('300 if verb == "claim" else record["lease_seconds"]', "300"),
    "take-over inherits the lease": (
        '300 if verb == "claim" else record["lease_seconds"]',
        'record.get("lease_seconds") or 300',
    ),
    "attempt not counted": ("attempt += 1", "attempt += 0"),
    # Reports
    "reported by any account": ('"j" if not is_working\n', '"j" if False\n'),
    "reported by any worker": ('"k" if not is_holder', '"k" if False'),
    "reported for another attempt": (
        '"n" if "attempt" in given',
        '"n" if False and "attempt" in given',
    ),
    "reported twice": (
        "IN_STATE[status] if not is_held\n",
        'IN_STATE[status] if status == "submitted"\n',
    ),
    "released item keeps its worker": (
        'for name in ["worker", "failure_reason"]',
        'for name in ["failure_reason"]',
    ),
    "retried item keeps its failure": (
        'for name in ["worker", "failure_reason"]',
        'for name in ["worker"]',
    ),
    # Requesters
    "cancelled by anybody": ('"l" if not (', '"l" if False and not ('),
    "agents forgotten": ("                        or agents[requester, caller]\n", ""),
    "operator forgotten": ('                        or caller == metadata["operator"]\n', ""),
    "cancelled while it runs": (
        "IN_STATE[status] if status != rule[1]",
        'IN_STATE[status] if status in IN_STATE and verb != "cancel" and status != rule[1]',
    ),
    "id used twice": ('"h" if status != "none"', '"h" if False'),
    "comes after what is not there": (
        'else "E" if None in [items[other]',
        'else "E" if False and None in [items[other]',
    ),
    "priority of ten": ('["F", 5, 9, 1]', '["F", 5, 10, 1]'),
    "after nine": ('["H", [], 8, None]', '["H", [], 9, None]'),
    # Stop
    "stopped item runs on by renewals": (
        '"C" if verb in "renew release"',
        '"C" if verb in "release"',
    ),
    "stopped item released": ('"C" if verb in "renew release"', '"C" if verb in "renew"'),
    "stopped item retried": (
        'else "C" if "stop_requested_at" in record',
        'else "C" if "stop_requested_at" in record and verb == "stop"',
    ),
    "stop noted twice": (
        'else "C" if "stop_requested_at" in record',
        'else "C" if "stop_requested_at" in record and verb == "retry"',
    ),
    "stopped item taken over": (
        'is_ending = is_held and verb == "claim" and "stop_requested_at" in record',
        "is_ending = False",
    ),
    "stopped item ended early": (
        '"m" if is_held and not has_passed',
        '"m" if is_held and not is_ending and not has_passed',
    ),
    "stopped item given back": (
        'status = "cancelled" if is_ending else rule[2]',
        'status = "submitted" if is_ending else rule[2]',
    ),
    "ended by workers alone": ('"j" if not is_working and not is_ending', '"j" if not is_working'),
    "ended but not in a pause": ('"B" if pauses and not is_ending', '"B" if pauses'),
    "holder cannot end": (
        'verb == "cancel" and is_holder and "stop_requested_at" in record',
        "False",
    ),
    "holder ends what nobody stopped": (
        'verb == "cancel" and is_holder and "stop_requested_at" in record',
        'verb == "cancel" and is_holder',
    ),
    "stop refuses reports": ('"C" if verb in "renew release"', '"C" if True'),
    "waiting item stays after a stop": (
        'else "" if verb == "stop" and status == "submitted"\n',
        "",
    ),
    "stop takes the lease": ('if verb == "stop" and is_held:', "if False:"),
    "reason of the stop forgotten": (
        'record["stop_reason"] = reason',
        'record["stop_reason"] = ""',
    ),
    "actor of the stop forgotten": (
        'record["stop_requested_by"] = caller',
        'record["stop_requested_by"] = record["requester"]',
    ),
    # Archive
    "archived while it runs": (
        'IN_STATE[status] if status in "submitted processing"\n',
        'IN_STATE[status] if status == "submitted"\n',
    ),
    "archived while it waits": (
        'IN_STATE[status] if status in "submitted processing"\n',
        "IN_STATE[status] if is_held\n",
    ),
    "archived early": (
        '"D" if not retention or not has_passed(record, retention)',
        '"D" if not retention',
    ),
    "archived without retention": (
        '"D" if not retention or not has_passed(record, retention)',
        '"D" if not has_passed(record, retention or 0)',
    ),
    "archived id is submitted": (
        'if status == "archived":',
        'if status == "archived" and verb != "submit":',
    ),
    "digest of another record": (
        "lines = [name",
        'record["revision"] += 1\n                lines = [name',
    ),
    "archived item is claimed": (
        'if status == "archived":',
        'if status == "archived" and verb != "claim":',
    ),
    # Records and events
    "revision stays in a contest": (
        '        record["contested_at"] = str(now)\n        record["revision"] += 1\n',
        '        record["contested_at"] = str(now)\n',
    ),
    "revision stays": (
        '            else:\n                record["revision"] += 1\n',
        "            else:\n",
    ),
    "time of the last change forgotten": ('                    record["updated_at"] = at\n', ""),
    "client not told": ('client=record.get("client", "")', 'client=""'),
    "priority not told": ('priority=record.get("priority", 5)', "priority=5"),
}
