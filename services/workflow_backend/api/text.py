"""Text fields: their characters and length, described in words where a value is wrong."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters, as a class of a regular expression and in words."""

    pattern: str
    words: str


IDENTIFIER = Characters("[A-Za-z0-9_-]", "ASCII letters, digits, _ or -")
PRINTABLE = Characters(r"[\x20-\x7e]", "printable ASCII characters")


@dataclass(frozen=True, slots=True)
class Text:
    """Constrains `Annotated[str, Text(...)]`.

    The pattern is part of the OpenAPI document, so it follows JavaScript, in which `$` is the very
    end of the text, as it is for pydantic.
    """

    characters: Characters
    least: int
    most: int

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema whose every error says what is expected."""
        pattern = f"^{self.characters.pattern}{{{self.least},{self.most}}}$"
        return core_schema.custom_error_schema(
            core_schema.str_schema(pattern=pattern),
            custom_error_type="text",
            custom_error_message=f"expected {self.least} to {self.most} {self.characters.words}",
        )
