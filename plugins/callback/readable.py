"""Ansible's usual output, of what was done alone: no answer of a host acts on the terminal."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.display import Display

DOCUMENTATION = """
name: readable
type: stdout
short_description: The default output with each failure once and what is not printable escaped
description:
  - Ansible prints why a task failed twice, first as an error with the place of the task, then in
    the task's result. The first is left to C(-v), and to a failure whose result has no text.
  - What a host answers is shown by Ansible as it is, with escapes that move the cursor, hide text
    or set the title of a terminal, on the screen and in C(ANSIBLE_LOG_PATH). Here those are shown
    as C(\\\\x1b).
  - A play that no host takes part in, the checks of a role's arguments that pass and the files of
    tasks that are included are left to C(-v).
  - Lines behind the first of an error or a warning are indented, so that none looks like the
    heading of a task or the result of another host.
extends_documentation_fragment: [default_callback, result_format_callback]
author: The authors of this toolkit
"""

# Ansible's own colours, in text that it has put together before it shows it.
_COLOUR = re.compile(r"(\x1b\[(?:[01];3[1-7]|0)m)")
_KEPT = "\n\t"
_LATER = re.compile(r"\n(?=.)")
# A line of a difference begins with one of these, or is none.
_NO_DIFFERENCE = re.compile(r"(?m)^(?=[^-+@ \\\x1b\n])")


def escaped(text: str) -> str:
    """Return a text with each character that is not printable as an escape of Python."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in _KEPT else repr(one)[1:-1]
        for one in text.replace("\r\n", "\n")
    )


def shown(text: str, color: str | None) -> str:
    """Return what is shown of a message; one without a colour of its own may hold some."""
    if color is None:
        parts = _COLOUR.split(text)
        return "".join(part if at % 2 else escaped(part) for at, part in enumerate(parts))
    text = escaped(text)
    return _LATER.sub("\n    ", text) if text.startswith(("[ERROR]", "[WARNING]")) else text


def _escaping(display: Callable[..., None]) -> Callable[..., None]:
    @wraps(display)
    def show(msg: str, color: str | None = None, *arguments: Any, **options: Any) -> None:
        display(shown(msg, color), color, *arguments, **options)

    return show


class CallbackModule(Default):  # type: ignore[misc]
    """Lets everything that is displayed go through the escaping, and each failure once."""

    CALLBACK_NAME = "readable"

    def __init__(self) -> None:
        super().__init__()
        display = Display()  # there is one for all of Ansible
        display.display = _escaping(display.display)

        self._next_play: Any = None

    @property
    def _terse(self) -> bool:
        return not self._display.verbosity

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Keep a play until its first task starts: there may be no host for it."""
        self._next_play = play
        if not self._terse:
            self._announce_play()

    def _announce_play(self) -> None:
        play, self._next_play = self._next_play, None
        if play is not None:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Leave out a play without hosts."""
        self._next_play = None
        if not self._terse:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Announce a task; a check of arguments is announced where it fails."""
        self._announce_play()
        if self._is_hidden(task):
            self._task_type_cache[task._uuid] = "TASK"  # noqa: SLF001 - as the base class does
            self._last_task_name = task.get_name().strip()
        else:
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Tell what a task did."""
        if not self._is_hidden(result.task):
            super().v2_runner_on_ok(result)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Leave out the path of tasks that are included: the tasks themselves follow."""
        if not self._terse:
            super().v2_playbook_on_include(included_file)

    def _is_hidden(self, task: Any) -> bool:
        return self._terse and task.action.rpartition(".")[2] == "validate_argument_spec"

    def _get_diff(self, difflist: Any) -> str:
        """Indent what a host answers as a difference and does not look like one."""
        return _NO_DIFFERENCE.sub("    ", super()._get_diff(difflist))

    def _handle_exception(self, result: dict[str, Any], use_stderr: bool = False) -> None:
        if result.get("msg") and not self._display.verbosity:
            result.pop("exception", None)
        else:
            super()._handle_exception(result, use_stderr=use_stderr)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Tell a failure; an answer that is too deep to be shown is one of the host's, too."""
        try:
            super().v2_runner_on_failed(result, ignore_errors=ignore_errors)
        except RecursionError:
            what = "its answer holds values in one another without end"
            self._display.display(
                f"fatal: [{result.host}]: FAILED! => {what}", constants.COLOR_ERROR
            )
