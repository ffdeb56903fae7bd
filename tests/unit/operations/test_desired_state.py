"""What is expected is read from the environment, and docs/settings.md tells of every variable."""

import re
from pathlib import Path

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.operations.desired_state import DesiredState, read_source

REPO = Path(__file__).parents[3]
ONE, TWO = "ab" * 32, "cd" * 32


def test_desired_state_is_empty_by_default() -> None:
    expected = DesiredState.load({})
    assert (expected.contract_source, expected.workers, expected.services) == (None, (), {})
    assert not expected.paid


def test_lists_are_read_without_doubles() -> None:
    expected = DesiredState.load(
        {
            "XIAN_WORKFLOW_WORKERS": f"{ONE}, {ONE},",
            "XIAN_WORKFLOW_WALLETS": f"{TWO},{ONE}",
            "XIAN_WORKFLOW_FEE_MODE": "paid_metered",
            "XIAN_WORKFLOW_SERVICES": "api=/a, projector=/p",
        }
    )
    assert expected.workers == (ONE,)
    assert expected.accounts == (ONE, TWO)
    assert expected.services == {"api": Path("/a"), "projector": Path("/p")}
    assert expected.paid


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XIAN_WORKFLOW_WORKERS", "AB" * 32),
        ("XIAN_WORKFLOW_WALLETS", "me"),
        ("XIAN_WORKFLOW_FEE_MODE", "free"),
        ("XIAN_WORKFLOW_FUND_TARGET", "0"),
        ("XIAN_WORKFLOW_FUND_TARGET", "nan"),
        ("XIAN_WORKFLOW_SERVICES", "api"),
        ("XIAN_WORKFLOW_SERVICES", "apy=/a"),
        ("XIAN_WORKFLOW_BLOCK_AGE_SECONDS", "-1"),
    ],
)
def test_variable_that_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        DesiredState.load({name: value})


def test_source_that_is_no_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.s.py"
    path.write_text("def f(:\n")
    with pytest.raises(SettingError, match=re.escape(str(path))):
        read_source(path)


def test_variables_are_all_documented_and_no_others() -> None:
    code = "".join(
        path.read_text() for path in (REPO / "services" / "workflow_backend").rglob("*.py")
    )
    used = set(re.findall(r'"(XIAN_[A-Z_]+|CREDENTIALS_DIRECTORY)"', code))
    documented = re.findall(
        r"^\| `([A-Z_]+)` \|", (REPO / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    assert len(documented) == len(set(documented))
    assert set(documented) == used
