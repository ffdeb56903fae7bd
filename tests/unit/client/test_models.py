"""The client's models and filters are what the API describes."""

from typing import Any, get_type_hints

import pytest

from workflow_backend.api import filters, health_models
from workflow_backend.api import models as served
from workflow_backend_client import models

SAME = {
    "Accepted": models.Accepted,
    "Activity": models.Activity,
    "BatchEntry": models.BatchEntry,
    "BatchOutcome": models.BatchOutcome,
    "EventRecord": models.Event,
    "FieldError": models.FieldError,
    "Health": models.Health,
    "ItemList": models.ItemList,
    "ItemRecord": models.Item,
    "ItemView": models.ItemView,
    "ProjectedItem": models.ProjectedItem,
    "ProjectionState": models.ProjectionState,
    "Refusal": models.Refusal,
    "Submission": models.Submission,
    "Summary": models.Summary,
}


@pytest.mark.parametrize("name", SAME)
def test_models_have_the_fields_that_the_api_describes(name: str) -> None:
    described: Any = getattr(health_models if hasattr(health_models, name) else served, name)
    assert list(get_type_hints(SAME[name])) == list(described.model_fields)


@pytest.mark.parametrize(
    ("taken", "query", "same_as_cursor"),
    [
        (models.ItemFilters, filters._ItemQuery, "before_event_id"),
        (models.EventFilters, filters._EventQuery, "before_id"),
    ],
)
def test_lists_take_the_filters_that_the_api_has(
    taken: Any, query: Any, same_as_cursor: str
) -> None:
    assert set(get_type_hints(taken)) == set(query.model_fields) - {same_as_cursor}
