"""Filters and cursors of the lists."""

import pytest

from .conftest import Open


@pytest.mark.parametrize(
    ("path", "name"),
    [("/items", "before_event_id"), ("/activity/recent", "before_id")],
)
async def test_pack_cursor_is_an_event_id_and_excludes_cursor(
    api: Open, path: str, name: str
) -> None:
    answer = await api().get(f"{path}?{name}=17")
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"field": name, "message": "expected an event's id such as 120-0-3"}],
    )
    answer = await api().get(f"{path}?{name}=1-0-0&cursor=x")
    assert (answer.status_code, f"cursor and {name}" in answer.json()["detail"]) == (422, True)


async def test_status_and_event_name_exclude_each_other(api: Open) -> None:
    for path in ("/activity/recent", "/items/a/activity"):
        answer = await api().get(f"{path}?status=failed&event_name=ItemClaimed")
        assert answer.status_code == 422
        assert "status and event_name" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/items", "/activity/recent", "/items/a/activity"])
@pytest.mark.parametrize(
    "time",
    [
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00Z"),
        *("1e300", "0", "-1", "1764453338", "1764453338000", "yesterday"),
    ],
)
async def test_time_filter_refuses_what_the_calendar_lacks(api: Open, path: str, time: str) -> None:
    for name in ("created_from", "created_before", "updated_from", "updated_before"):
        if path == "/items" or name.startswith("created"):
            answer = await api().get(path, params={name: time})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == name


async def test_time_filter_explains_an_unencoded_plus(api: Open) -> None:
    answer = await api().get("/items?created_from=2026-01-31T12:00:00.5+00:00")
    assert answer.status_code == 422
    assert "%2B" in answer.json()["errors"][0]["message"]


async def test_lists_take_the_same_filters(api: Open) -> None:
    described = (await api().get("/openapi.json")).json()
    taken = {
        path: {entry["name"] for entry in described["paths"][path]["get"]["parameters"]}
        for path in ("/items", "/activity/recent", "/items/{item_id}/activity")
    }
    common = {"status", "kind", "requester", "worker", "client", "id_prefix", "limit", "cursor"}
    common |= {"created_from", "created_before"}
    assert taken == {
        "/items": common | {"priority", "updated_from", "updated_before", "before_event_id"},
        "/activity/recent": common | {"event_name", "before_id"},
        "/items/{item_id}/activity": common | {"event_name", "before_id", "item_id"},
    }
