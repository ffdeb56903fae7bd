"""Query parameters that a route does not know: a mistyped filter would let everything through."""

from difflib import get_close_matches

from fastapi import Request
from fastapi.exceptions import RequestValidationError


async def refuse_unknown(request: Request) -> None:
    """Raise the 422 that names each parameter which the route's description does not have."""
    paths = request.app.openapi()["paths"]
    methods = paths.get(request.scope["route"].path_format)
    if methods is None:  # a page, not a part of the API
        return
    parameters = methods[request.method.lower()].get("parameters", ())
    known = [each["name"] for each in parameters if each["in"] == "query"]
    rows = [
        {"type": "unknown", "loc": ("query", name), "msg": _hint(name, known)}
        for name in request.query_params
        if name not in known
    ]
    if rows:
        raise RequestValidationError(rows)


def _hint(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    if near:
        return f"no parameter of this route: is {near[0]} meant?"
    return f"no parameter of this route, which takes {', '.join(known) or 'none'}"
