"""Secrets in plain text in the files of an inventory."""

import pytest

from .inventories import host, preflight

LONG = "9b8a9c5577e1d2c5"


def dsn(password: str, where: str = "db.example") -> str:
    """A DSN with a password."""
    return f"postgresql://jobs:{password}@{where}/jobs?sslmode=verify-full&sslrootcert=/ca.pem"


def findings_in(**files: str) -> list[str]:
    """What is found in files, which are named without their suffix."""
    findings = preflight(host(), files={f"{name}.yml": text for name, text in files.items()})
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
def test_secret_in_plain_text_is_found_with_its_line(
    text: str, line: int | None, label: str
) -> None:
    expected = [f"group.yml:{line}: {label} is in plain text"] if line else []
    assert findings_in(group=text) == expected


def test_secret_in_another_file_is_found() -> None:
    found = findings_in(a="ansible_password: '{{ pw }}'", b="pw: abc")
    assert found == ["b.yml:1: pw is in plain text"]


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
def test_encrypted_or_looked_up_secret_is_no_finding(text: str) -> None:
    assert findings_in(group=text) == []


def test_secret_in_an_ini_inventory_is_found() -> None:
    text = "[all]\na ansible_password=hunter2 b=1\n# ansible_password=x\n[all:vars]\nb = c\n"
    findings = preflight(host(), files={"hosts.ini": text, "hosts": text})
    assert [f.what.split(":")[:2] for f in findings] == [["hosts.ini", "2"], ["hosts", "2"]]
