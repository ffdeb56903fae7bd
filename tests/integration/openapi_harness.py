"""Answers held against the description that the API gives of itself."""

import json
import re
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_ROOT = "urn:openapi"


class Description:
    """An OpenAPI document; `check` fails for an answer that is not as it says."""

    def __init__(self, document: dict[str, Any]) -> None:
        paths = document["paths"]
        # A path without parameters goes before one that fits it by a parameter.
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path, paths[path])
            for path in sorted(paths, key=lambda path: path.count("{"))
        ]
        self._registry: Registry[Any] = Registry().with_resource(
            _ROOT, DRAFT202012.create_resource(document)
        )

    def check(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Fail where status or kind of content is not declared, or the body is of another form."""
        path, kind = path.partition("?")[0], content_type.partition(";")[0]
        fitting = [(name, methods) for form, name, methods in self._paths if form.fullmatch(path)]
        for name, methods in fitting:
            if method.lower() in methods:
                declared = methods[method.lower()]["responses"].get(str(status))
                assert declared is not None, f"{method} {name} does not declare {status}: {body!r}"
                assert kind in declared["content"], (
                    f"{method} {name} {status} is not declared as {kind}"
                )
                if "schema" in declared["content"][kind]:
                    steps = ("paths", name, method.lower(), "responses", str(status), "content")
                    self._validate((*steps, kind, "schema"), body)
                return
        assert status == (405 if fitting else 404), f"{method} {path} is not declared"
        assert kind == "application/problem+json"
        self._validate(("components", "schemas", "Problem"), body)

    def _validate(self, place: tuple[str, ...], body: bytes) -> None:
        pointer = "/".join(step.replace("~", "~0").replace("/", "~1") for step in place)
        schema = {"$ref": f"{_ROOT}#/{pointer}"}
        Draft202012Validator(schema, registry=self._registry).validate(json.loads(body))
