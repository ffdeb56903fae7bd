"""Unknown and repeated query parameters are errors: ignoring a filter would return everything."""

from collections import Counter
from difflib import get_close_matches

from fastapi import Request
from fastapi.exceptions import RequestValidationError


async def reject_unknown(request: Request) -> None:
    """Raise the 422 that names each parameter that the route does not have, or that is repeated."""
    paths = request.app.openapi()["paths"]
    methods = paths.get(request.scope["route"].path_format)
    if methods is None:  # a page of the documentation
        return
    parameters = methods[request.method.lower()].get("parameters", ())
    names = [each["name"] for each in parameters if each["in"] == "query"]
    given = Counter(name for name, _ in request.query_params.multi_items())
    rows = [
        {"type": "unknown", "loc": ("query", name), "msg": _hint(name, names)}
        for name in given
        if name not in names
    ]
    rows += [
        {"type": "repeated", "loc": ("query", name), "msg": "given more than once: give one value"}
        for name in names
        if given[name] > 1
    ]
    if rows:
        raise RequestValidationError(rows)


def _hint(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, 1)
    if near:
        return f"unknown parameter: did you mean {near[0]}?"
    return f"unknown parameter; this route takes {', '.join(names) or 'none'}"
