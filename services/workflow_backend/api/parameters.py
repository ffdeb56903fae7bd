"""Query parameters that mean nothing here: one that was left out would let everything through."""

from collections import Counter
from difflib import get_close_matches

from fastapi import Request
from fastapi.exceptions import RequestValidationError


async def check_names(request: Request) -> None:
    """Raise the 422 that names each parameter which the route does not have, or has twice."""
    paths = request.app.openapi()["paths"]
    methods = paths.get(request.scope["route"].path_format)
    if methods is None:  # a page, not a part of the API
        return
    parameters = methods[request.method.lower()].get("parameters", ())
    known = [each["name"] for each in parameters if each["in"] == "query"]
    given = Counter(name for name, _ in request.query_params.multi_items())
    rows = [
        {"type": "unknown", "loc": ("query", name), "msg": _hint(name, known)}
        for name in given
        if name not in known
    ]
    rows += [
        {"type": "repeated", "loc": ("query", name), "msg": "given more than once: give one value"}
        for name in known
        if given[name] > 1
    ]
    if rows:
        raise RequestValidationError(rows)


def _hint(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    if near:
        return f"no parameter of this route: is {near[0]} meant?"
    return f"no parameter of this route, which takes {', '.join(known) or 'none'}"
