"""A validator without peers: nothing but the operator's word opens the guard."""

import os
from pathlib import Path

from testinfra.host import Host
from tests.hosts.verified import play

RECORD = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "network" / "homes" / "bookworm"


def test_guard_refuses_without_peers_or_the_operators_word(host: Host) -> None:
    printed = play("converge", double_sign_guard_sure=False).refused().prose
    assert "nobody can tell whether the validator of bookworm signs elsewhere" in printed
    assert host.service("workflow-backend-cometbft").is_running


def test_recovery_variable_is_the_operators_word() -> None:
    word = {"double_sign_guard_sure": "{{ xian_recovery_sure }}", "xian_recovery_sure": True}
    play("converge", **word).ok()


def test_first_home_is_recorded_on_the_control_machine() -> None:
    assert RECORD.read_text().endswith(" UTC\n")


def test_older_home_is_refused_where_the_host_has_signed_more() -> None:
    printed = play("converge", signed_height=9, home_height=4).refused().prose
    assert "the home ends at block 4, and a home of bookworm has signed up to 9" in printed
