"""Which of several workers claims an item first."""

from workflow_backend.processor.rendezvous_hash import REMEMBER_SECONDS, RendezvousHash


def test_worker_that_is_alone_does_not_wait() -> None:
    assert RendezvousHash("a").delay("item", "job", 0.0) == 0.0


def test_exactly_one_worker_goes_first_and_each_gets_a_share() -> None:
    names = ["a", "b", "c"]
    rankings = {name: RendezvousHash(name) for name in names}
    for name, ranking in rankings.items():
        for other in names:
            if other != name:
                ranking.observe_claim(other, "job", 0.0)
    firsts = []
    for item_id in [f"item-{n}" for n in range(300)]:
        delays = {name: rankings[name].delay(item_id, "job", 1.0) for name in names}
        assert len(set(delays.values())) == len(names)
        (first,) = (name for name, delay in delays.items() if delay == 0.0)
        firsts.append(first)
    assert min(firsts.count(name) for name in names) > 60


def test_worker_that_is_gone_or_claims_other_kinds_has_no_head_start() -> None:
    ranking = RendezvousHash("a")
    ranking.observe_claim("b", "job", 0.0)
    ids = [f"item-{n}" for n in range(50)]
    assert any(ranking.delay(i, "job", 1.0) for i in ids)
    assert not any(ranking.delay(i, "http", 1.0) for i in ids)
    assert not any(ranking.delay(i, "job", REMEMBER_SECONDS + 1.0) for i in ids)
