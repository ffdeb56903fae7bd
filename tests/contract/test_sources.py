"""The Xian linter finds nothing in any contract, for Python and for the VM."""

from pathlib import Path

import pytest
from xian_linter import lint_code_inline

from .vm import CONTRACTS

SOURCES = sorted(CONTRACTS.rglob("*.s.py"))


@pytest.mark.parametrize("mode", ["python", "xian_vm_v1"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_linter_accepts_contracts(source: Path, mode: str) -> None:
    assert lint_code_inline(source.read_text(encoding="utf-8"), mode=mode) == []
