"""The event that wakes all processors of a worker."""

from workflow_backend.processor.shared_wake import SharedWake


def test_wake_reaches_all_members_and_each_clears_its_own() -> None:
    members: list[SharedWake] = []
    first, second = SharedWake(members), SharedWake(members)
    first.set()
    assert first.is_set()
    assert second.is_set()
    second.clear()
    assert first.is_set()
    assert not second.is_set()
