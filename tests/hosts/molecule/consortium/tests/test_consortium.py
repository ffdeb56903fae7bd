"""Four validators, two of which serve: what each has, who reaches what, and one queue for all."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from workflow_backend_client import ApiError, ApiUnavailable, Client

INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
CHAIN = "xian-consortium-1"
MADE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
FOLDER = MADE / CHAIN
VALIDATORS = [f"validator-{number}" for number in range(1, 5)]
SERVING, OTHERS = VALIDATORS[:2], VALIDATORS[2:]
NETWORK = json.loads((FOLDER / "network.json").read_text())
WALLETS = json.loads((FOLDER / "wallets" / "wallets.json").read_text())
AUTHORITY = MADE / "tls" / "ca.pem"

testinfra_hosts = [f"ansible://{name}" for name in VALIDATORS]


def on(name: str) -> Host:
    """A host by its name."""
    return testinfra.get_host(f"ansible://{name}", ansible_inventory=INVENTORY)


def name_of(host: Host) -> str:
    return str(host.check_output("hostname"))


def address(name: str) -> str:
    """The address of a host, as the inventory has it."""
    return str(on(name).backend.ansible_runner.get_variables(name)["ansible_host"])


def decrypted(path: Path) -> str:
    """A file that the vault keeps."""
    done = subprocess.run(
        ["ansible-vault", "view", path], capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def apis() -> dict[str, Client]:
    token = decrypted(FOLDER / "operator.token")
    return {
        name: Client(f"https://{address(name)}:8000", token=token, ca_file=AUTHORITY)
        for name in SERVING
    }


def eventually(look: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come in {seconds:g} s"
        time.sleep(0.2)
    return found


@contextmanager
def stopped(name: str, unit: str) -> Iterator[None]:
    """A unit that does not run for a while."""
    on(name).check_output("systemctl stop %s", unit)
    try:
        yield
    finally:
        on(name).check_output("systemctl start %s", unit)


def test_all_of_them_vote_on_one_chain(host: Host) -> None:
    ask = (
        "import json, urllib.request as u; a = lambda m: json.load(u.urlopen("
        "'http://127.0.0.1:26657/' + m))['result']; "
        "print(json.dumps([a('status'), a('validators'), a('net_info')]))"
    )
    status, validators, net = json.loads(host.check_output("python3 -c %s", ask))
    assert status["node_info"]["network"] == CHAIN
    assert int(validators["total"]) == 4
    own = NETWORK["hosts"][name_of(host)]
    assert status["node_info"]["id"] == own["node_id"]
    assert int(status["validator_info"]["voting_power"]) == 10
    assert int(net["n_peers"]) == 3


def test_each_host_runs_what_its_groups_say(host: Host) -> None:
    units = host.check_output("ls /etc/systemd/system").split()
    here = {
        unit.removeprefix("workflow-backend-").removesuffix(".service")
        for unit in units
        if unit.startswith("workflow-backend-")
    }
    served = {"postgres", "handlers", "projector", "processor", "api"}
    serves = name_of(host) in SERVING
    assert here == {"abci", "cometbft"} | (served if serves else set())
    assert all(host.service(f"workflow-backend-{name}").is_running for name in here)


def test_who_reaches_what_from_another_host(host: Host) -> None:
    """The table of the README: peers reach p2p, clients the API; the rest stays on loopback."""
    ports = {"p2p": 26656, "rpc": 26657, "metrics": 9108, "cometbft": 26660, "api": 8000}
    serves = name_of(host) in SERVING
    asking = on(OTHERS[0] if name_of(host) != OTHERS[0] else OTHERS[1])
    open_ones = {
        name for name, port in ports.items() if reaches(asking, address(name_of(host)), port)
    }
    assert open_ones == {"p2p"} | ({"api"} if serves else set())


def reaches(asking: Host, address: str, port: int) -> bool:
    return bool(asking.run("timeout 3 bash -c %s", f"exec 3<>/dev/tcp/{address}/{port}").rc == 0)


@pytest.mark.parametrize("name", SERVING)
def test_the_api_speaks_tls_and_asks_for_a_token(name: str, apis: dict[str, Client]) -> None:
    url = apis[name].url
    with pytest.raises(ApiError, match="token"):
        Client(url, ca_file=AUTHORITY).list_items(limit=1)
    with pytest.raises(ApiUnavailable):
        Client(url, retry_seconds=0).list_items(
            limit=1
        )  # the authority is none that everybody trusts
    assert apis[name].list_items(limit=1)["count"] >= 0


def test_no_host_has_the_operators_key_or_anothers(host: Host) -> None:
    network = FOLDER
    mine = name_of(host)
    secrets = [json.loads(decrypted(network / "operator.json"))["private_key"]]
    for other in VALIDATORS:
        if other != mine:
            key = json.loads(decrypted(network / "hosts" / other / "priv_validator_key.json"))
            secrets.append(key["priv_key"]["value"])
    wallets = (network / "wallets").glob("*.key")
    secrets += [decrypted(path) for path in wallets if path.stem.split("-", 1)[1] != mine]
    for secret in secrets:
        found = host.run("grep -rlF -e %s /etc /opt /root /run /tmp /var", secret)
        assert (found.rc, found.stdout) == (1, "")


@pytest.mark.parametrize(("here", "there"), [SERVING, SERVING[::-1]])
def test_an_item_submitted_here_is_done_there_and_seen_on_both(
    here: str, there: str, apis: dict[str, Client]
) -> None:
    item_id = f"from-{here}-{time.time_ns()}"
    with stopped(here, "workflow-backend-processor"):
        assert apis[here].submit(item_id, "https://example.org/1")["finalized"]
        *_, last = apis[here].watch(item_id, 60)
    assert (last["status"], last["worker"]) == ("completed", WALLETS[f"processor-{there}"])

    def shown() -> bool:
        found = [api.get(item_id)["projection"] for api in apis.values()]
        return all(item and item["status"] == "completed" for item in found)

    eventually(shown, f"{item_id} in both projections")


def test_one_api_cancels_what_was_submitted_through_the_other(apis: dict[str, Client]) -> None:
    first, second = (apis[name] for name in SERVING)
    item_id = f"cancelled-{time.time_ns()}"
    first.submit(item_id, "https://example.org/1", kind="nobody-does-this")

    def status(api: Client) -> str | None:
        """An API's node may be a block behind the other's."""
        try:
            return str(api.get(item_id)["item"]["status"])
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    eventually(lambda: status(second), f"{item_id} on {SERVING[1]}", 10)
    second.cancel(item_id, "not needed")
    eventually(lambda: status(first) == "cancelled", f"{item_id} cancelled on {SERVING[0]}", 10)


def test_both_projections_are_one_and_it_is_reached_by_tls_alone() -> None:
    ask = (
        "SELECT client_addr, bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) "
        "WHERE usename = 'projection' GROUP BY client_addr"
    )
    line = f'runuser -u postgres -- psql --no-align --tuples-only --command="{ask}"'
    found = dict(row.split("|") for row in on("database").check_output(line).splitlines())
    assert found == {address(name): "t" for name in SERVING}
    for name in SERVING:
        assert (
            on(name)
            .run("find /var/lib/workflow-backend -name '*.sqlite3' -path '*projection*'")
            .stdout
            == ""
        )


def test_the_chain_goes_on_without_one_of_the_four(apis: dict[str, Client]) -> None:
    with stopped(OTHERS[1], "workflow-backend-cometbft"):
        item_id = f"three-{time.time_ns()}"
        apis[SERVING[0]].submit(item_id, "https://example.org/1")
        *_, last = apis[SERVING[0]].watch(item_id, 120)
    assert last["status"] == "completed"
