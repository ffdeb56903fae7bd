"""What is wrong with data that does not fit its model, told without repeating the data."""

from pydantic import ValidationError

from .printable import printable

_PROBLEMS = 10
_FIELD_CHARACTERS = 200
"""How many wrong fields are named at most, and how many characters of each field's name."""


def problems(error: ValidationError) -> str:
    """Say in one line which fields are wrong and why, without what they hold."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    # A field's name may be somebody else's text, too: a key of what a host answered.
    reasons = [
        f"{printable('.'.join(map(str, one['loc'])))[:_FIELD_CHARACTERS]}: {one['msg']}"
        for one in found
    ]
    more = len(reasons) - _PROBLEMS
    return "; ".join(reasons[:_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
