"""Fetches a file of a host, and no more of it than it is known to have."""

import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action.fetch import ActionModule as Fetch

ROOM_BYTES = 1 << 30
"""What stays free on the control machine: how long a file is, its host says."""


class ActionModule(Fetch):
    """Runs in a process that Ansible makes for this task: its limits are those of its programs."""

    def run(self, tmp: str | None = None, task_vars: Any = None) -> Mapping[str, Any]:
        """Fetch it."""
        most = int(self._task.args.pop("most_bytes"))
        source, here = self._task.args["src"], Path(self._task.args["dest"])
        self._task.args["flat"] = True
        _refuse_without_room(source, here, most)
        try:
            with self._bounded(most):
                result: Mapping[str, Any] = super().run(tmp, task_vars)
        except AnsibleError:
            _refuse_longer(source, here, most)
            raise
        # Where Ansible becomes root the content is an answer, which it writes without a limit.
        _refuse_longer(source, here, most)
        return result

    def _execute_module(self, *arguments: Any, **options: Any) -> Any:
        """Refuse what keeps the whole file in memory, of a length that the host chooses.

        Ansible turns to it where the host names no checksum, which is the host's own choice.
        """
        name = str(options.get("module_name", arguments[0] if arguments else ""))
        if name.endswith("slurp") and not self._connection.become:
            raise AnsibleActionFail(
                f"the host names no checksum of {self._task.args['src']}: nothing is fetched"
            )
        return super()._execute_module(*arguments, **options)

    @contextmanager
    def _bounded(self, most: int) -> Iterator[None]:
        """Bound what the connection fetches: the next file of a loop may come by the same one."""
        fetch_file = self._connection.fetch_file

        def bounded(*arguments: Any, **options: Any) -> None:
            with _files_of(most + 1):  # at its limit a file that is whole can fail as well
                fetch_file(*arguments, **options)

        self._connection.fetch_file = bounded
        if self._connection.transport == "ssh":
            # Where this fails Ansible would try others, one of which keeps all of it in memory.
            self._connection.set_option("ssh_transfer_method", "sftp")
        try:
            yield
        finally:
            self._connection.fetch_file = fetch_file


def _refuse_without_room(source: str, here: Path, most: int) -> None:
    there = next(folder for folder in here.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(there).free
    if most + ROOM_BYTES > free:
        raise AnsibleActionFail(
            f"{source} has {most} bytes, and {there} has {free} free, of which {ROOM_BYTES} stay "
            "free: nothing is fetched"
        )


def _refuse_longer(source: str, here: Path, most: int) -> None:
    if here.is_file() and here.stat().st_size > most:
        here.unlink()
        raise AnsibleActionFail(
            f"{source} is longer than the {most} bytes that it is known to have: "
            "nothing of it stays"
        )


@contextmanager
def _files_of(most: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
