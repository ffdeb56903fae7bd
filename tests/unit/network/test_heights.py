"""The height of a chain is what several nodes say."""

from workflow_backend.operations.network.heights import MAX_SPREAD, agree_on_height


def test_height_is_the_second_highest() -> None:
    chain = agree_on_height({"a": 10, "b": 12, "c": 9})
    assert (chain.height, chain.ceiling) == (10, 12)
    assert (set(chain.confirmed_by), dict(chain.outliers)) == (set("abc"), {})


def test_host_that_stays_just_below_an_outlier_raises_no_height() -> None:
    chain = agree_on_height({"a": 10, "b": 10, "c": 10 + MAX_SPREAD})
    assert (chain.height, chain.ceiling, dict(chain.outliers)) == (10, 10 + MAX_SPREAD, {})


def test_height_far_above_the_second_highest_is_an_outlier() -> None:
    chain = agree_on_height({"a": 10, "b": 11 + MAX_SPREAD, "c": 9})
    assert (chain.height, dict(chain.outliers)) == (10, {"b": 11 + MAX_SPREAD})
    assert chain.describe_outliers() == f"b says height {11 + MAX_SPREAD}"


def test_height_of_a_single_node_is_not_confirmed() -> None:
    assert agree_on_height({"a": 10}).height == 10
    assert not agree_on_height({"a": 10}).is_confirmed
    assert agree_on_height({}).height == 0
