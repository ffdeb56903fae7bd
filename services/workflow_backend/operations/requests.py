"""How a playbook asks for an operation: one JSON object on standard input, one as the answer."""

import json
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import SettingError
from ..validation import problems

type Object = dict[str, Any]


class Request(BaseModel):
    """What an operation is asked; a field that is unknown is as wrong as one that is missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


LONGEST = 64 << 20
"""Characters of a request at most: one of a preflight has all variables of all hosts."""


def read(stream: IO[str] | None) -> Object:
    """Return the request; raises SettingError where there is none."""
    try:
        text = stream.read(LONGEST + 1) if stream else ""
        if len(text) > LONGEST:
            raise SettingError(f"the request on standard input is longer than {LONGEST >> 20} MiB")
        request = json.loads(text)
    except RecursionError:
        raise SettingError("the request on standard input is nested too deeply") from None
    except ValueError as error:
        raise SettingError(f"the request on standard input is not JSON in UTF-8: {error}") from None
    if not isinstance(request, dict):
        raise SettingError("the request on standard input is not a JSON object")
    return request


def parse[T: BaseModel](kind: type[T], given: Object, where: str) -> T:
    """Make a request of what was given; raises SettingError naming each field that is wrong.

    What the fields hold is not repeated: one may be a secret in a wrong place.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise SettingError(f"{where}: {problems(error)}") from None
