"""The file of a playbook's report: the operator's, or a new one beside the playbooks."""

import re
from pathlib import Path

from tests.unit.modules.loading import filters

report_file = filters("report_file")["report_file"]


def test_report_goes_where_the_operator_says(tmp_path: Path) -> None:
    assert report_file(f"{tmp_path}/x/../mine.json", "/p", "drill") == f"{tmp_path}/mine.json"


def test_report_is_named_for_what_is_done_and_the_time() -> None:
    path = report_file("", "/clone/playbooks", "drill-one")
    assert re.fullmatch(r"/clone/reports/drill-one-\d{8}T\d{6}Z\.json", path)
