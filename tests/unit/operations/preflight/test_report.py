"""The report: one line a finding, a hint below it, and what an operator has accepted."""

import json
from pathlib import Path

import pytest
from tls_harness import Authority

from workflow_backend.errors import SettingError
from workflow_backend.operations.preflight.findings import (
    NEVER_ACCEPTED,
    Finding,
    Level,
    accept,
    merged,
    report,
)

from .role_request import preflight, request

DISK = Finding("disk", ("b",), "it is full", "free some")
CLOCK = Finding("clock", ("a",), "it is late", level=Level.WARNING)


def test_problems_come_first_and_columns_are_aligned() -> None:
    assert report(merged([CLOCK, DISK]), 2) == [
        "1 problem, 1 warning",
        "PROBLEM  b  disk   it is full",
        "                   -> free some",
        "WARNING  a  clock  it is late",
    ]
    assert report([], 2) == []


def test_report_merges_what_is_the_same_on_several_hosts() -> None:
    same = [Finding("disk", (name,), "it is full") for name in "cab"]
    assert merged(same) == [Finding("disk", ("a", "b", "c"), "it is full")]


@pytest.mark.parametrize(
    ("names", "total", "text"),
    [
        (("a", "b"), 3, "a, b"),
        (("a", "b", "c"), 3, "all hosts"),
        (("a",), 1, "a"),
        ((), 3, "all hosts"),
        (("a", "b", "c", "d", "e"), 9, "a, b, c +2"),
    ],
)
def test_hosts_are_named(names: tuple[str, ...], total: int, text: str) -> None:
    assert report([Finding("disk", names, "it is full")], total)[1].split("  ")[1] == text


def test_problems_of_an_accepted_check_are_warnings() -> None:
    assert [finding.level for finding in accept([DISK, CLOCK], ["disk"])] == [Level.WARNING] * 2
    assert [finding.level for finding in accept([DISK], ["clock"])] == [Level.PROBLEM]


@pytest.mark.parametrize("check", NEVER_ACCEPTED)
def test_report_never_accepts_what_would_harm_the_chain(check: str) -> None:
    found = list(accept([Finding(check, ("a",), "x")], [check]))
    assert [finding.level for finding in found] == [Level.PROBLEM] * 2
    assert check in found[0].what


def test_empty_inventory_is_well() -> None:
    assert preflight(request(), rehearsal=False) == {"ok": True, "report": [], "findings": []}


def test_request_with_a_misspelt_field_is_refused_without_what_it_holds() -> None:
    with pytest.raises(SettingError) as caught:
        preflight(
            request(hosts={"a": {"names": [], "values": {}, "geheim": "hunter2"}}), rehearsal=False
        )
    assert "geheim" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_host_needs_a_release_that_was_built(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    values = {"release_file": json.dumps(str(file))}
    given = {"groups": [], "closed": [], "names": ["release_file"], "values": values}
    asked = request(play=["a"], hosts={"a": given})

    def missing() -> list[str]:
        found = preflight(asked, rehearsal=False)["findings"]
        return [one["what"] for one in found if one["check"] == "release"]

    assert missing() == [f"there is no release: {file}"]
    values["release_file"] = '"latest.json"'
    asked["folder"] = str(tmp_path)
    assert missing() == [f"there is no release: {file}"]
    file.write_text('{"archive": "1.tar.gz", "id": "1", "bytes": 5, "unpacked_bytes": 20}')
    assert missing() == [f"there is no release: {tmp_path / '1.tar.gz'}"]
    (tmp_path / "1.tar.gz").touch()
    assert missing() == []
    values["program_manager"] = '"supervisor"'
    file.unlink()
    assert missing() == []


def test_file_that_a_variable_names_is_there(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    values = {"workflow_services_api_ca": json.dumps(str(file)), "program_manager": '"supervisor"'}
    given = {"groups": [], "closed": [], "names": list(values), "values": values}
    asked = request(play=["a"], hosts={"a": given})
    assert preflight(asked, rehearsal=False)["findings"][0]["what"] == (
        f"workflow_services_api_ca: there is no file {file}"
    )
    Authority(tmp_path, "ca")
    assert preflight(asked, rehearsal=False)["findings"] == []


def test_handlers_file_that_the_handlers_would_not_start_with(tmp_path: Path) -> None:
    file = tmp_path / "handlers.toml"
    values = {"workflow_services_handlers": json.dumps(str(file))}
    values["program_manager"] = '"supervisor"'
    given = {"groups": ["workflow_services"], "closed": [], "names": list(values), "values": values}
    asked = request(play=["a"], hosts={"a": given})

    def wrong() -> list[str]:
        found = preflight(asked, rehearsal=False)["findings"]
        return [one["what"] for one in found if one["check"] == "handlers"]

    file.write_text('[job]\nhandler = "ecko"\n')
    (text,) = wrong()
    assert text.startswith(f"{file}: [job] handler must be one of echo")
    file.write_text("[job")
    (text,) = wrong()
    assert text.startswith(f"the handlers' file {file} can't be read: Expected ']'")
    # The program is on the host.
    file.write_text('[job]\nhandler = "command"\nargv = ["/opt/none/such"]\n')
    assert wrong() == []
    file.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert wrong() == []
    file.write_text("[job")
    values["workflow_services_names"] = '["api"]'
    given["names"] = list(values)
    assert wrong() == []
