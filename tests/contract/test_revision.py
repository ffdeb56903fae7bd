"""Each write raises the record's revision by one, so a reader of the history misses none."""

from .jobs import AGENT, ALICE, OPERATOR, STRANGER, WALT, WANDA, Jobs


def test_every_write_raises_the_revision_by_one(new_jobs: Jobs) -> None:
    revision = 0

    def write(who: str, action: str, code: str = "ok", **fields: object) -> None:
        nonlocal revision
        assert new_jobs.codes(who, action, "i", **fields) == [code]
        revision += 1
        assert new_jobs.stored()["revision"] == revision

    write(ALICE, "submit", payload_uri="p")
    write(WANDA, "claim", lease_seconds=60)
    new_jobs.chain.block()
    write(WANDA, "renew")
    new_jobs.chain.block()
    write(WALT, "claim", "leased")  # a contest
    write(WANDA, "renew", lease_seconds=5)
    write(WANDA, "release")
    write(WALT, "claim", lease_seconds=5)
    new_jobs.chain.block()
    write(OPERATOR, "claim", "leased")
    new_jobs.chain.block(5)
    write(OPERATOR, "claim")  # a take-over
    write(OPERATOR, "fail", reason="broken")
    write(AGENT, "retry")
    write(WANDA, "claim", lease_seconds=5)
    write(ALICE, "stop")
    new_jobs.chain.block()
    write(STRANGER, "claim", "leased")
    new_jobs.chain.block(5)
    write(STRANGER, "claim", "stopping")
    new_jobs.send(OPERATOR, "set_retention", seconds=5)
    new_jobs.chain.block()
    write(STRANGER, "archive", "early")


def test_what_is_refused_raises_nothing(new_jobs: Jobs) -> None:
    before = new_jobs.put("processing")
    new_jobs.codes(ALICE, "cancel", "i")
    new_jobs.codes(WALT, "renew", "i")
    new_jobs.codes(WANDA, "claim", "i")
    new_jobs.codes(WANDA, "complete", "i", result_uri="r", attempt=7)
    assert new_jobs.record() == before


def test_last_ends_of_an_item_raise_it_too(new_jobs: Jobs) -> None:
    for status in ("completed", "failed"):
        assert new_jobs.put(status, status)["revision"] == 3
    assert new_jobs.put("cancelled", "cancelled")["revision"] == 2
