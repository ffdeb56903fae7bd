"""Another project, which has installed the collection and uses it by its full name."""

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[2]
NAME = "xian.workflow_backend"


class Project:
    """A folder with an `ansible.cfg` of its own and the collection, built from this clone.

    Raises AssertionError where it can't be built or installed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collections = folder / "collections"
        self.configure("inject_facts_as_vars = false")
        galaxy = "ansible-galaxy", "collection"
        self._must(*galaxy, "build", str(REPO), "--output-path", str(folder))
        (archive,) = folder.glob("xian-workflow_backend-*.tar.gz")
        self._must(*galaxy, "install", "--offline", str(archive), "-p", str(self.collections))

    def configure(self, setting: str) -> None:
        """Write its `ansible.cfg`, with one setting."""
        text = f"[defaults]\ncollections_path = {self.collections}\n{setting}\n"
        (self.folder / "ansible.cfg").write_text(text)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this clone's Ansible in the project."""
        environment = {name: text for name, text in os.environ.items() if name != "ANSIBLE_CONFIG"}
        return subprocess.run(
            [Path(sys.executable).with_name(program), *arguments],
            cwd=self.folder,
            env=environment | {"HOME": str(self.folder), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def play(self, name: str, inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the collection's playbooks by its full name."""
        return self.run("ansible-playbook", "-i", str(inventory), f"{NAME}.{name}", *arguments)

    def _must(self, program: str, *arguments: str) -> None:
        done = self.run(program, *arguments)
        assert done.returncode == 0, done.stderr
