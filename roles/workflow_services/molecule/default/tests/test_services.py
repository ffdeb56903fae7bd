"""Handlers, projector, processor and API: a token, a projection of two accounts, a drain."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from testinfra.host import Host

CREDENTIALS = "/etc/workflow-backend/credentials"
COMMAND = (
    "cd / && XIAN_CHAIN_ID=scenario-1 "
    f"XIAN_WORKFLOW_API_TOKEN_FILE={CREDENTIALS}/operator/api_token "
    "/opt/workflow-backend/current/services/bin/workflow-backend"
)
INVENTORY = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
CONVERGE = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml"
PROJECTION = "/var/lib/workflow-backend/projection"


def test_an_item_goes_through_with_a_token_and_not_without(host: Host) -> None:
    done = host.run(f"{COMMAND} smoke")
    assert json.loads(done.stdout)["ok"] is True, done.stderr
    bare = COMMAND.replace("/operator/api_token", "/none")
    refused = host.run(f"touch /etc/workflow-backend/credentials/none; {bare} items list")
    assert refused.rc == 1
    assert "token" in refused.stderr


def test_a_deployment_rotates_tokens_and_does_not_restart_the_api(host: Host) -> None:
    def deploy(**tokens: str) -> None:
        hashed = {
            name: {"scopes": ["read"], "sha256": hashlib.sha256(token.encode()).hexdigest()}
            for name, token in tokens.items()
        }
        extra = json.dumps({"workflow_services_tokens": hashed})
        command = ["ansible-playbook", "--inventory", INVENTORY, CONVERGE, "--extra-vars", extra]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def lets_in(token: str) -> bool:
        file = f"{CREDENTIALS}/rotated"
        asked = COMMAND.replace(f"{CREDENTIALS}/operator/api_token", file)
        listing = host.run(f"echo {token} > {file}; {asked} items list")
        assert listing.rc == 0 or "token" in listing.stderr, listing.stderr
        return bool(listing.rc == 0)

    before = host.service("workflow-backend-api").systemd_properties["MainPID"]
    deploy(shop="xwb_first")
    assert (lets_in("xwb_first"), lets_in("xwb_second")) == (True, False)
    deploy(shop="xwb_second")
    assert (lets_in("xwb_first"), lets_in("xwb_second")) == (False, True)
    deploy()
    assert not lets_in("xwb_second")
    assert host.service("workflow-backend-api").systemd_properties["MainPID"] == before


def test_projector_and_api_share_the_projection_and_others_do_not(host: Host) -> None:
    folder = host.file(PROJECTION)
    assert (folder.group, folder.mode) == ("workflow-projection", 0o2770)
    file = host.file(f"{PROJECTION}/projection.sqlite3")
    assert (file.group, file.mode) == ("workflow-projection", 0o660)
    for account, may in (("workflow-api", True), ("workflow-processor", False)):
        looked = host.run(f"runuser -u {account} -- test -r {PROJECTION}/projection.sqlite3")
        assert (looked.rc == 0) is may


def test_only_the_processor_reaches_the_handlers(host: Host) -> None:
    socket = "/run/workflow-backend/handlers/handlers.sock"
    for account, may in (("workflow-processor", True), ("workflow-api", False)):
        assert (host.run(f"runuser -u {account} -- test -w {socket}").rc == 0) is may


def test_handlers_know_neither_node_nor_key(host: Host) -> None:
    pid = host.service("workflow-backend-handlers").systemd_properties["MainPID"]
    environment = host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/environ")
    names = {line.partition("=")[0] for line in environment.splitlines()}
    assert "CREDENTIALS_DIRECTORY" not in names
    assert {name for name in names if name.startswith("XIAN_")} == {
        "XIAN_WORKFLOW_HANDLERS",
        "XIAN_WORKFLOW_HANDLERS_GROUP",
        "XIAN_WORKFLOW_HANDLERS_SOCKET",
        "XIAN_WORKFLOW_STATE_DIR",
    }


def test_handlers_run_programs_and_functions_and_leave_no_daemon(host: Host) -> None:
    for kind in ("daemon", "function"):
        host.check_output(f"{COMMAND} items submit --kind {kind} {kind}-1 p")
        host.check_output(f"{COMMAND} items watch --timeout 60 {kind}-1")
        item = json.loads(host.check_output(f"{COMMAND} items get {kind}-1"))["item"]
        assert item["status"] == "completed", item["failure_reason"]
    assert host.run("pgrep --full 'sleep [9]87'").rc == 1
    log = host.check_output("journalctl --unit workflow-backend-handlers --output cat")
    messages = [json.loads(line)["message"] for line in log.splitlines() if line.startswith("{")]
    assert "[daemon] daemon-1: left behind" in messages
    assert any("[function] function-1: WARNING:root:Job(" in message for message in messages)


def test_a_stop_ends_the_services_in_order_and_a_start_brings_them_back(host: Host) -> None:
    units = [f"workflow-backend-{name}" for name in ("handlers", "projector", "processor", "api")]
    host.check_output(f"systemctl stop {' '.join(units)}")
    results = {unit: host.service(unit).systemd_properties["Result"] for unit in units}
    assert set(results.values()) == {"success"}, results
    host.check_output(f"systemctl start {' '.join(units)}")
    assert json.loads(host.check_output(f"{COMMAND} smoke"))["ok"] is True
