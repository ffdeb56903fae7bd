"""A host that lies: of what a playbook asks it, one answer is replaced by a hostile one.

Its Python is a program of ours. It runs each module as Ansible sent it, counts, and spoils the
answer of the one that is named.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .host import Host

FOLDER = "/var/lib/hostile"
PYTHON = f"{FOLDER}/python"
MARK = "hostile-c0ffee"
"""Part of every name that a hostile answer holds: nothing of it may be found anywhere else."""

KINDS = ("types", "paths", "templates", "escapes", "facts", "deep", "huge", "no JSON")
FILES = ("links", "long files")
"""What becomes of the files that are about to be fetched: they lead elsewhere, or never end."""

OUTGOING = "/var/lib/workflow-backend/outgoing"
LONG = 1 << 30

_PROGRAM = r"""#!/usr/bin/python3 -IB
import fcntl, glob, json, os, subprocess, sys

FOLDER, MARK, OUTGOING, LONG = %(folder)r, %(mark)r, %(outgoing)r, %(long)r
PLAIN = ("changed", "failed", "rc")

def spoilt(value, kind):
    if isinstance(value, dict):
        if kind == "paths":
            return {PATH + str(key): spoilt(one, kind) for key, one in value.items()} | {
                key: spoilt(one, kind) for key, one in value.items()}
        return {key: spoilt(one, kind) if key not in PLAIN else one for key, one in value.items()}
    if isinstance(value, list):
        return [spoilt(one, kind) for one in value] * (3 if kind == "types" else 1)
    if kind == "types":
        return {str: 7, int: [{}], bool: "", float: None, type(None): {"a": [1]}}.get(type(value))
    if not isinstance(value, str):
        return value
    return {"paths": PATH, "templates": TEMPLATE, "escapes": ESCAPES}[kind] + value

PATH = "../../../../../../../../tmp/" + MARK
TEMPLATE = "{{ lookup('ansible.builtin.pipe', 'touch /tmp/" + MARK + "') }}"
ESCAPES = "\x1b[2J\x1b[8m\r\nok: [" + MARK + "]\n\u202e"
FACTS = {name: "/tmp/" + MARK for name in (
    "workflow_services_report", "workflow_services_handlers", "xian_network_directory",
    "snapshots_fetch", "upgrade_report", "release_file", "ansible_python_interpreter",
    "playbook_dir", "inventory_dir", "xian_node_p2p_external_address")}

def hostile(text, kind):
    if kind == "no JSON":
        return '{"changed": false, "answer": ' + ESCAPES
    if kind == "huge":
        return json.dumps(json.loads(text) | {"msg": "x" * (64 << 20)})
    if kind == "deep":
        return '{"changed": false, "answer": ' + '{"a":' * 20000 + "1" + "}" * 20001
    answer = json.loads(text)
    if kind == "facts":
        own = dict(answer.get("answer") or {})
        return json.dumps(answer | {"ansible_facts": FACTS, "answer": FACTS | own})
    return json.dumps({
        key: one if key in PLAIN else spoilt(one, kind) for key, one in answer.items()
    } | {"failed": False})

def spoil_files(kind):
    for path in glob.glob(OUTGOING + "/*"):
        if kind == "links":
            os.unlink(path)
            os.symlink("/etc/" + MARK, path)
        else:
            os.truncate(path, LONG)

done = subprocess.run(["/usr/bin/python3", *sys.argv[1:]], stdout=subprocess.PIPE)
text = done.stdout.decode(errors="replace")
with open(FOLDER + "/plan.json", "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    plan = json.load(file)
    plan["count"] += 1
    file.seek(0)
    file.truncate()
    json.dump(plan, file)
    file.flush()
if plan["kind"] in ("links", "long files"):
    spoil_files(plan["kind"])
elif plan["count"] == plan["spoil"]:
    text = hostile(text, plan["kind"])
sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
sys.stdout.flush()
sys.exit(done.returncode)
"""


class Liar:
    """A host whose Python is replaced in an inventory of its own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        host.run(["mkdir", "-p", FOLDER])
        given = {"folder": FOLDER, "mark": MARK, "outgoing": OUTGOING, "long": LONG}
        program = _PROGRAM % given
        host.run(["tee", PYTHON], input=program)
        host.run(["chmod", "0755", PYTHON])
        self.plan()
        own = {"ansible_python_interpreter": PYTHON}
        place = folder / "liar.json"
        place.write_text(json.dumps({"all": {"hosts": {host.name: own}}}))
        self.arguments = ("-i", str(place))

    def plan(self, spoil: int = 0, kind: str = "") -> None:
        """Spoil the answer of that number in the next run, the first is 1; none by default.

        One of `FILES` spoils what is fetched, whenever it lies there.
        """
        plan: dict[str, Any] = {"count": 0, "spoil": spoil, "kind": kind}
        self._host.run(["tee", f"{FOLDER}/plan.json"], input=json.dumps(plan))

    @property
    def asked(self) -> int:
        """How often it was asked since `plan`."""
        return int(json.loads(self._host.output(f"cat {FOLDER}/plan.json"))["count"])
