"""Secrets: none that can be guessed, none for two things, none in plain text, none repeated."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from xian_py import Wallet

from workflow_backend.operations.preflight import reading
from workflow_backend.operations.preflight.credentials import password_of, weakness
from workflow_backend.operations.preflight.findings import Level
from workflow_backend.operations.preflight.inventory import Host

from .made import found, host, key, network, only, problem, warning

LONG = "9b8a9c5577e1d2c5"


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("postgresql://u:p%40ss@h/d", "p@ss"),
        ("postgresql://u@h/d?password=pw", "pw"),
        ("host=h user=u password=pw dbname=d", "pw"),
        ("host=h password='p w'", "p w"),
        ("postgresql:///d?host=/run/x&user=u", None),
        ("postgresql://u@h/d", None),
        ("host=h", None),
        ("postgresql://[h/d", None),
    ],
)
def test_the_password_of_a_dsn(dsn: str, password: str | None) -> None:
    assert password_of(dsn) == password


@pytest.mark.parametrize(
    "password",
    ["postgres", "Postgres2024!", "change-me", "change me please", "CHANGEME123456789", "xian",
     "my-secret-password", "short7Kq", "123456789012345", "aaaaaaaaaaaaaaaaaaaa",
     "abababababababab", "<your-password>", "jobsjobs_owner"],
)  # fmt: skip
def test_what_is_weak(password: str) -> None:
    assert weakness(password, ("jobsjobs_owner", "jobs"))


@pytest.mark.parametrize("password", [LONG, "correct horse battery staple", "Tr0ub4dor&3xyz"])
def test_what_is_not(password: str) -> None:
    assert weakness(password, ("owner", "jobs")) == ""


def dsn(password: str, where: str = "db.example") -> str:
    """A DSN with a password."""
    return f"postgresql://jobs:{password}@{where}/jobs?sslmode=verify-full&sslrootcert=/ca.pem"


def test_a_weak_password_in_a_dsn() -> None:
    findings = found(host(workflow_services_projection_dsn=dsn("jobs")))
    assert problem(findings, "passwords").startswith("the password in workflow_services_proj")
    assert found(host(workflow_services_projection_dsn=dsn(LONG))) == []


def test_a_weak_token() -> None:
    tokens = {"ops": {"scopes": ["read"], "sha256": sha256(b"letmein").hexdigest()}}
    findings = found(
        host(workflow_services_operator_token="letmein", workflow_services_tokens=tokens)
    )
    assert problem(findings, "passwords") == "workflow_services_operator_token is a well-known word"


def test_a_key_that_nobody_drew() -> None:
    keys = {"processor": "ab" * 32, "api": key("api")}
    findings = found(host(workflow_services_keys=keys))
    assert problem(findings, "passwords") == "workflow_services_keys.processor is no random key"


def test_one_password_for_two_things() -> None:
    both = host(
        workflow_services_projection_dsn=dsn(LONG), xian_node_index_dsn=dsn(LONG, "other.example")
    )
    what = problem(found(both), "passwords")
    assert what == "workflow_services_projection_dsn and xian_node_index_dsn hold one secret"


def test_one_password_for_a_database_of_each_host() -> None:
    name = "xian_node_index_dsn"
    hosts = [host(n, **{name: dsn(LONG, f"{n}.example")}) for n in ("one", "four")]
    assert "for several accounts" in warning(found(*hosts), "passwords")


def test_one_database_for_several_hosts() -> None:
    name = "workflow_services_projection_dsn"
    assert found(host("one", **{name: dsn(LONG)}), host("four", **{name: dsn(LONG)})) == []


@pytest.mark.parametrize("same", ["processor", "api"])
def test_a_wallet_with_two_writers_on_two_hosts(same: str) -> None:
    keys = {"processor": key("a"), "api": key("b"), same: key(f"{same} one").upper()}
    finding = only(found(host("one"), host("four", workflow_services_keys=keys)))
    assert finding.check == "wallets"
    assert f"{same} on one and {same} on four have one wallet" in finding.what


def test_a_wallet_with_two_writers_on_one_host() -> None:
    findings = found(host(workflow_services_keys={"processor": key("a"), "api": key("a")}))
    assert "processor on one and api on one" in problem(findings, "wallets")


def test_keys_of_services_that_run_elsewhere_do_not_count() -> None:
    keys = {"processor": key("a"), "api": key("b")}
    names = ["handlers", "projector"]
    hosts = [
        host("one", workflow_services_keys=keys, workflow_services_names=[*names, "processor"]),
        host("four", workflow_services_keys=keys, workflow_services_names=[*names, "api"]),
    ]
    assert found(*hosts) == []


@pytest.mark.parametrize("keys", [{"api": key("b")}, {"api": key("b"), "processor": "abc"}])
def test_a_writer_without_a_wallet(keys: dict[str, str]) -> None:
    findings = [f for f in found(host(workflow_services_keys=keys)) if f.check == "wallets"]
    assert "processor" in only(findings).what


def prepared(name: str, **wallets: str) -> Host:
    """A host that has its keys from the network folder."""
    made = host(name)
    values = {name: text for name, text in made.values.items() if name != "workflow_services_keys"}
    return replace(made, values=values, names=frozenset(values), wallets=wallets)


def test_a_copy_of_a_key_under_another_name_is_the_same_wallet() -> None:
    one = prepared("one", processor=key("p"), api=key("a"))
    four = prepared("four", processor=f"{key('p').upper()}\n", api=key("b"))
    what = problem(found(one, four), "wallets")
    assert what == "processor on one and processor on four have one wallet"
    assert key("p") not in what
    assert found(one, prepared("four", processor=key("q"), api=key("b"))) == []


def test_a_copy_of_a_prepared_key_in_an_inventory_is_the_same_wallet() -> None:
    keys = {"processor": key("p"), "api": key("b")}
    hosts = (
        prepared("one", processor=key("x"), api=key("p")),
        host("four", workflow_services_keys=keys),
    )
    assert "api on one and processor on four have one wallet" in problem(found(*hosts), "wallets")


def test_a_copy_of_the_operators_key_is_no_services() -> None:
    one = prepared("one", processor=key("p"), api=key("a"))
    operator = Wallet(private_key=key("a")).public_key
    networks = {"/net": network("one", operator=operator)}
    what = problem(found(one, networks=networks), "wallets")
    assert what == "api on one: the wallet is the operator's own"


def test_a_key_file_that_holds_none() -> None:
    what = problem(found(prepared("one", processor="abc")), "wallets")
    assert what == "the key of processor in /net/wallets is not 64 hexadecimal digits"


def test_wallets_are_those_of_the_network_folder_where_no_keys_are_given() -> None:
    one = prepared("one")
    assert found(one) == []
    networks = {"/net": network("one", wallets={"api-one": key("api-one")})}
    what = problem(found(one, networks=networks), "wallets")
    assert what == "there is no wallet for processor in /net/wallets"


@pytest.mark.parametrize(
    ("public", "said"),
    [(key("same"), "a and b of net-1 are one"), (key("operator"), "a and b and the operator's")],
)
def test_wallets_of_a_network_that_are_one(public: str, said: str) -> None:
    networks = {"/net": network("one", wallets={"a": public, "b": public.upper()})}
    assert said in problem(found(host(), networks=networks), "wallets")


def test_the_operators_wallet_is_no_services() -> None:
    findings = found(
        host(
            workflow_services_keys={"processor": key("a"), "api": key("b")},
            workflow_contract_operator_key=key("a"),
        )
    )
    assert "the operator's own" in problem(findings, "wallets")


def test_the_operators_key_stays_where_it_is() -> None:
    settings = {"api": {"XIAN_WALLET_PRIVATE_KEY": key("o")}}
    both = {"workflow_contract_operator_key": key("o"), "workflow_services_settings": settings}
    what = problem(found(host(**both)), "wallets")
    assert what == "workflow_services_settings holds the operator's key"
    assert found(host(ansible_connection="local", **both)) == []
    assert found(host(workflow_contract_operator_key=key("o"))) == []


def judged_files(**files: str) -> list[str]:
    """What is found in files, which are named without their suffix."""
    findings = found(host(), files={f"{name}.yml": text for name, text in files.items()})
    assert {finding.check for finding in findings} <= {"vault"}
    return [finding.what for finding in findings]


@pytest.mark.parametrize(
    ("text", "line", "label"),
    [
        (f"xian_node_index_dsn: {dsn(LONG)}", 1, "xian_node_index_dsn"),
        (f"---\nworkflow_contract_operator_key: {LONG}", 2, "workflow_contract_operator_key"),
        (f"workflow_services_keys:\n  api: {LONG}", 2, "workflow_services_keys.api"),
        (f"workflow_services_keys:\n  api: {'1' * 64}", 2, "workflow_services_keys.api"),
        ("ansible_become_password: hunter2", 1, "ansible_become_password"),
        ("all:\n  hosts:\n    a:\n      ansible_password: x", 4, "ansible_password"),
        ("xian_node_index_dsn: '{{ mine }}'\nmine: postgresql://u:pw@h/d", 2, "mine"),
        ("xian_node_index_dsn: 'postgresql://u:{{ pw | urlencode }}@h/d'\npw: abc", 2, "pw"),
        ("workflow_services_keys: {api: '{{ all.api }}'}\nall: {api: abc}", 2, "all.api"),
        ("ansible_password: '{{ a }}'\na: '{{ b }}'\nb: abc", 3, "b"),
        ("ansible_password: '{{ a }}'\na: '{{ a }}b'", None, ""),
    ],
)
def test_a_secret_in_plain_text(text: str, line: int | None, label: str) -> None:
    expected = [f"group.yml:{line}: {label} is in plain text"] if line else []
    assert judged_files(group=text) == expected


def test_a_secret_that_stands_in_another_file() -> None:
    said = judged_files(a="ansible_password: '{{ pw }}'", b="pw: abc")
    assert said == ["b.yml:1: pw is in plain text"]


@pytest.mark.parametrize(
    "text",
    [
        "xian_node_index_dsn: postgresql:///xian?host=/run&user=u",
        "xian_node_index_dsn: 'postgresql://u:{{ pw }}@h/d'",
        "xian_node_index_dsn: ''",
        "xian_node_index_dsn: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162",
        "workflow_services_keys:\n  api: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6162",
        "workflow_services_keys:\n  api: \"{{ lookup('file', folder ~ '/api.key') }}\"\nfolder: /x",
        "workflow_services_keys: '{{ keys }}'\nkeys: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61",
        "$ANSIBLE_VAULT;1.1;AES256\n6162",
        "workflow_contract_workers: [abc]",
        "not: [yaml",
        "",
        "- a\n- ansible_password: x",
    ],
)
def test_what_is_no_secret_in_plain_text(text: str) -> None:
    assert judged_files(group=text) == []


def test_an_inventory_in_ini_form() -> None:
    text = "[all]\na ansible_password=hunter2 b=1\n# ansible_password=x\n[all:vars]\nb = c\n"
    findings = found(host(), files={"hosts.ini": text, "hosts": text})
    assert [f.what.split(":")[:2] for f in findings] == [["hosts.ini", "2"], ["hosts", "2"]]


def test_files_are_those_that_ansible_reads(tmp_path: Path) -> None:
    inventory, playbooks = tmp_path / "inventory", tmp_path / "playbooks"
    names = ["hosts.yml", "group_vars/all.yml", "group_vars/all/deep/x.yml", "host_vars/a.yml"]
    for name in [*names[:1], *names[2:]]:
        (inventory / name).parent.mkdir(parents=True, exist_ok=True)
        (inventory / name).write_text(f"name: {name}")
    (playbooks / "group_vars").mkdir(parents=True)
    (playbooks / "group_vars/all.yml").write_text("name: playbook")
    (playbooks / "deploy.yml").write_text("[]")
    (inventory / "group_vars/all/blob").write_bytes(b"\xff\xfe")
    texts = {"name: playbook", "name: group_vars/all/deep/x.yml", "name: host_vars/a.yml"}
    for source in (inventory, inventory / "hosts.yml"):
        read = reading.inventory_files([str(source)], str(playbooks))
        assert set(read.values()) == texts | {"name: hosts.yml"}
    assert set(reading.inventory_files(["a,b,"], str(playbooks)).values()) == {"name: playbook"}


TOKEN = "xwb_" + LONG * 2


@pytest.mark.parametrize(
    ("other", "check", "said"),
    [
        ({}, "exposure", "without TLS"),
        ({"workflow_services_api_certificate": "c.pem", "workflow_services_tokens": {},
          "workflow_services_operator_token": ""},
         "exposure", "health, smoke and status have none to show"),
        ({"workflow_services_api_certificate": "c.pem", "workflow_services_tokens": {},
          "workflow_services_operator_token": "", "program_manager": "supervisor"},
         "exposure", "asks nobody for a token"),
        ({"workflow_services_api_certificate": "c.pem", "workflow_services_tokens": {}}, "", ""),
        ({"workflow_services_api_certificate": "c.pem"}, "", ""),
    ],
)  # fmt: skip
def test_an_api_that_others_reach(other: dict[str, Any], check: str, said: str) -> None:
    base = {
        "workflow_services_api_host": "192.0.2.1",
        "workflow_services_operator_token": TOKEN,
        "workflow_services_api_key": "-----BEGIN PRIVATE KEY-----",
        "workflow_services_tokens": {
            "ops": {"scopes": ["read"], "sha256": sha256(TOKEN.encode()).hexdigest()}
        },
    }
    findings = found(host(**(base | other)))
    if check:
        assert said in problem(findings, check)
    else:
        assert findings == []


def test_a_token_that_can_not_be_evaluated_is_no_open_api() -> None:
    given = {
        "workflow_services_api_host": "192.0.2.1",
        "workflow_services_api_certificate": "c.pem",
        "workflow_services_api_key": "-----BEGIN PRIVATE KEY-----",
    }
    for name in ("workflow_services_operator_token", "workflow_services_tokens"):
        what = problem(found(host(lost=[name], **given, **{name: ""})), "variables")
        assert what == f"can't be evaluated: {name}"


def test_a_certificate_needs_its_key() -> None:
    given = {"workflow_services_api_certificate": "c.pem"}
    assert "no key" in problem(found(host(**given)), "exposure")
    lost = found(host(lost=["workflow_services_api_key"], **given))
    assert problem(lost, "variables") == "can't be evaluated: workflow_services_api_key"


def test_api_of_a_remote_host_is_not_to_be_without_the_operators_token() -> None:
    assert found(host()) == []  # left out: one is made
    findings = found(host(workflow_services_operator_token=""))
    assert "have none to show" in problem(findings, "exposure")
    assert "leave workflow_services_operator_token out" in findings[0].hint
    here = {"program_manager": "supervisor"}
    assert "exposure" not in {finding.check for finding in found(host(**here))}
    tokens = {"ops": {"scopes": ["read"], "sha256": "0" * 64}}
    findings = found(host(**here, workflow_services_tokens=tokens))
    said = [finding.what for finding in findings if finding.check == "exposure"]
    assert said == ["the API asks for tokens, and health, smoke and status have none to show"]


def test_no_finding_repeats_a_secret() -> None:
    secrets: dict[str, Any] = {
        "workflow_services_projection_dsn": dsn("postgres1"),
        "xian_node_index_dsn": dsn("postgres1", "x"),
        "workflow_services_operator_token": "postgres1",
        "workflow_services_keys": {"processor": "ab" * 32, "api": "postgres1"},
        "workflow_contract_operator_key": "ab" * 32,
        "workflow_services_settings": {"api": {"A": "ab" * 32}},
        "workflow_services_api_key": "postgres1",
    }
    files = {"a.yml": "\n".join(f"{name}: postgres1" for name in secrets)}
    findings = found(host(**secrets), host("four", **secrets), files=files)
    said = str([(finding.what, finding.hint) for finding in findings])
    assert len(findings) > 8
    assert "postgres1" not in said
    assert "ab" * 32 not in said
    assert {finding.level for finding in findings} == {Level.PROBLEM}
