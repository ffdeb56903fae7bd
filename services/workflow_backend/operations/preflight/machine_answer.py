"""What a host answers about itself, as far as it is what the module machine_facts tells."""

from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ...validation import problems

MOST = 1 << 62
"""No host has more bytes, files or anything else that is counted."""

LATEST = 1e11
"""Seconds since 1970 at most: a calendar ends."""


PROBLEM_CHARACTERS = 300
"""How many characters of what is wrong with an answer are shown."""


def _address(text: str) -> str:
    ip_address(text)
    return text


type Count = Annotated[int, Field(ge=0, le=MOST)]
type Moment = Annotated[float, Field(ge=0, le=LATEST, allow_inf_nan=False)]
type Word = Annotated[str, Field(max_length=4096)]
type Words = Annotated[list[Word], Field(max_length=10_000)]
type Hexadecimal = Annotated[str, Field(pattern="^[0-9a-f]{0,256}$")]


class _Answer(BaseModel):
    """A part of the answer: nothing else is in it, and nothing is taken for something else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class System(_Answer):
    """What os-release says."""

    id: Word
    version: Word
    name: Word


class Place(_Answer):
    """A folder, and the room of its file system."""

    entries: Words
    device: Count
    free: Count
    inodes: Count
    inodes_free: Count


class Listener(_Answer):
    """A TCP socket that listens, and whose it is."""

    address: Annotated[Word, AfterValidator(_address)]
    port: Annotated[int, Field(ge=0, le=65535)]
    user: Word
    program: Word
    process: Count
    unit: Word
    folder: Word


class Home(_Answer):
    """A node's home by its public parts."""

    chain_id: Word
    genesis_sha256: Hexadecimal
    validator: Hexadecimal
    fee_mode: Word
    problem: Word


class Machine(_Answer):
    """A machine, what it has, and what it runs."""

    time: Moment
    asked_at: Moment
    synchronised: bool | None
    os: System
    machine: Word
    root: bool
    init: Word
    systemd: Annotated[int, Field(ge=0, le=1_000_000)]
    memory: Count
    release: Word
    data: Word
    releases: Words
    current: Literal["link", "missing", "folder", "file"]
    runs: Word
    programs: Words
    deployed: bool
    places: Annotated[dict[Word, Place], Field(max_length=100)]
    listeners: Annotated[list[Listener], Field(max_length=100_000)]
    home: Home

    @model_validator(mode="after")
    def _has_room_for_releases(self) -> Self:
        if self.release not in self.places:
            raise ValueError("the folder of the releases is missing")
        return self


def parse_machine(answer: Any) -> tuple[dict[str, Any] | None, str]:
    """Return what a host answered, or why that is not an answer; neither where it was not asked."""
    if answer is None:
        return None, ""
    try:
        return Machine.model_validate(answer).model_dump(), ""
    except ValidationError as error:
        return None, f"its answer is not the module's: {problems(error)[:PROBLEM_CHARACTERS]}"
