"""What a handler gave as its result, held against what the contract takes."""

import pytest

from workflow_backend.processor.handlers.job import MAX_RESULT, Answer, Echo, Job, completed


@pytest.mark.parametrize("uri", [" before", "after ", "two  in a row", " ", "", "~" * MAX_RESULT])
async def test_result_with_any_spaces_is_taken_as_it_is(uri: str) -> None:
    assert completed(uri) == completed({"result_uri": uri}) == Answer("completed", uri)
    echoed = await Echo().run(Job({"payload_uri": uri}, 1, 1, "key"))
    assert completed(echoed.text) == Answer("completed", uri)


@pytest.mark.parametrize("uri", ["a\tb", "a\n", "\x7f", "\xa0", "é", "a" * (MAX_RESULT + 1)])
def test_result_that_the_contract_refuses_fails_and_says_so(uri: str) -> None:
    answer = completed(uri)
    assert answer.outcome == "failed"
    assert f"{MAX_RESULT} printable ASCII" in answer.text
