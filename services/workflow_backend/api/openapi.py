"""What the OpenAPI document says beside the routes, for linters and client generators."""

from typing import Any

from fastapi.routing import APIRoute

OPEN: dict[str, Any] = {"security": []}
"""Marks a route that needs no token."""

TAGS = [
    {"name": "items", "description": "Submit, read, cancel and retry items"},
    {"name": "events", "description": "Events as they are projected"},
    {"name": "health", "description": "For people, load balancers and Prometheus"},
]


def operation_id(route: APIRoute) -> str:
    """Return an operation's id, which generated clients use as a function's name."""
    return route.name


DETAILS: dict[str, Any] = {
    "contact": {"name": "The operator of this API"},
    "license_info": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    "openapi_tags": TAGS,
    "generate_unique_id_function": operation_id,
}
