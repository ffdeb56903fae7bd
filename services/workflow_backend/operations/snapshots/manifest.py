"""What a snapshot says of itself."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import RecoveryRefused
from ...validation import problems
from ..regular_files import read_regular_file

FORMAT = 1
MANIFEST = "manifest.json"
SIGNATURES = "signatures.json"
VERIFIED = "verified.json"
STATE: Final = "state.tar.gz"
INDEX: Final = "index.dump"
SQLITE: Final = "projection.sqlite3"
POSTGRESQL: Final = "projection.dump"
MOST_BYTES = 1 << 20

type File = Literal["state.tar.gz", "index.dump", "projection.sqlite3", "projection.dump"]
type Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
type Height = Annotated[int, Field(gt=0, lt=1 << 63)]
# A folder is called so: it leads nowhere else, and no shell or person misreads it.
type Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
type Text = Annotated[str, Field(pattern=r"^[ -~]{0,255}$")]
type Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FilePart(_Part):
    """A file of the snapshot."""

    size: Count
    sha256: Digest


class IndexPart(_Part):
    """The index: its newest block and the version of its schema."""

    height: Height
    block_hash: Digest
    schema_version: Count


class ProjectionPart(_Part):
    """The projection: the contract that it is of, and its height."""

    height: Count
    contract: Text


class Manifest(_Part):
    """A snapshot: the state of one chain behind the block `height`, and copies beside it."""

    format: int
    name: Name
    host: Text
    made_at: Text
    chain_id: Text
    genesis_sha256: Digest
    height: Height
    app_hash: Digest
    block_time: Text
    index: IndexPart | None
    projection: ProjectionPart | None
    versions: Annotated[dict[Text, Text], Field(max_length=16)]
    files: dict[File, FilePart]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        projections = {SQLITE, POSTGRESQL} & set(self.files)
        if (
            STATE not in self.files
            or (INDEX in self.files) != (self.index is not None)
            or len(projections) != (self.projection is not None)
        ):
            raise ValueError("its parts and its files do not go together")
        return self

    def text(self) -> str:
        """Return it as the text of its file."""
        return self.model_dump_json(indent=2) + "\n"


def read_manifest(folder: Path) -> bytes:
    """Return the bytes of a snapshot's manifest; raises RecoveryRefused where there is none."""
    try:
        return read_regular_file(folder / MANIFEST, MOST_BYTES)
    except OSError as error:
        raise RecoveryRefused(
            f"{folder} is not a snapshot: {MANIFEST} can't be read ({error.strerror})",
            hint="give the folder that holds it",
        ) from error


def parse_manifest(given: bytes, where: Path) -> Manifest:
    """Return what a manifest says; raises RecoveryRefused where it is none that is known here."""
    try:
        manifest = Manifest.model_validate_json(given)
    except ValidationError as error:
        raise RecoveryRefused(f"{where / MANIFEST} is not a manifest: {problems(error)}") from None
    if manifest.format != FORMAT:
        raise RecoveryRefused(
            f"{where} has format {manifest.format}, this release knows {FORMAT}",
            hint="restore it with the release that made it",
        )
    return manifest
