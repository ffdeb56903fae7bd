"""Results of checks: all is well or not, and the table that a person reads."""

from workflow_backend.operations.health.result import Check, State, all_healthy, table


def test_results_are_well_with_warnings_and_never_with_unknowns() -> None:
    checks = [Check("a", State.OK, "fine"), Check("b", State.WARNING, "low", "fill it")]
    assert all_healthy(checks)
    assert not all_healthy([*checks, Check("c", State.UNKNOWN, "see a")])
    assert not all_healthy([*checks, Check("c", State.FAILED, "broken")])


def test_table_has_a_line_for_each_result_and_for_each_hint() -> None:
    checks = [Check("a", State.OK, "fine"), Check("long name", State.FAILED, "broken", "mend it")]
    assert table(checks).splitlines() == [
        "a          OK       fine",
        "long name  FAILED   broken",
        "                    -> mend it",
    ]
