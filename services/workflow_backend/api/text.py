"""A field of text: the characters it may have and how many, told in words where it is wrong."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Characters:
    """A kind of characters: as a class of a regular expression, and in words."""

    pattern: str
    words: str


IDENTIFIER = Characters("[A-Za-z0-9_-]", "ASCII letters, digits, _ or -")
PRINTABLE = Characters(r"[\x20-\x7e]", "printable ASCII characters")


@dataclass(frozen=True, slots=True)
class Text:
    """What `Annotated[str, Text(...)]` may be.

    The pattern goes into the API's description, where JavaScript reads it: `$` is the very end of
    the text there, as it is for pydantic.
    """

    characters: Characters
    least: int
    most: int

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema of which every fault is told as what is wanted."""
        pattern = f"^{self.characters.pattern}{{{self.least},{self.most}}}$"
        return core_schema.custom_error_schema(
            core_schema.str_schema(pattern=pattern),
            custom_error_type="text",
            custom_error_message=f"wanted {self.least} to {self.most} {self.characters.words}",
        )
