"""The contract is on the chain, brought there from the control machine."""

import json
import os
from base64 import b64decode
from pathlib import Path

from testinfra.host import Host

NETWORK = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "network"


def state(host: Host, key: str) -> str | None:
    """A value of the chain's state."""
    ask = (
        "import sys, urllib.parse as p, urllib.request as u; "
        "q = p.urlencode({'path': chr(34) + '/get/' + sys.argv[1] + chr(34)}); "
        "print(u.urlopen('http://127.0.0.1:26657/abci_query?' + q).read().decode())"
    )
    answer = json.loads(host.check_output("python3 -c %s %s", ask, key))
    value = answer["result"]["response"]["value"]
    return b64decode(value).decode() if value else None


def test_the_networks_founder_is_its_operator_and_the_processor_a_worker(host: Host) -> None:
    founder = json.loads((NETWORK / "network.json").read_text())["operator"]
    wallets = json.loads((NETWORK / "wallets" / "wallets.json").read_text())
    assert founder in str(state(host, "con_job_workflow.metadata:operator"))
    assert state(host, f"con_job_workflow.workers:{wallets['processor-bookworm']}") is not None
    assert state(host, f"con_job_workflow.workers:{'0' * 64}") is None


def test_the_operators_key_never_came_here(host: Host) -> None:
    key = json.loads((NETWORK / "operator.json").read_text())["private_key"]
    found = host.run(f"grep -rlF {key} /etc /opt /root /run /tmp /var")
    assert (found.rc, found.stdout) == (1, "")
