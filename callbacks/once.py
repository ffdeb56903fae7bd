"""Ansible's own output, where a failure prints its text once."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback.default import CallbackModule as DefaultCallback

DOCUMENTATION = """
name: once
type: stdout
short_description: Ansible's own output, where a failure prints its text once
description:
  - Ansible prints why a task failed twice, first as an error with the place of the task, then in
    the task's result. This leaves the first to C(-v), and to a failure whose result has no text.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in the configuration
"""


class CallbackModule(DefaultCallback):
    """The default output but for that."""

    CALLBACK_NAME = "once"

    def _handle_exception(self, result: dict[str, Any], use_stderr: bool = False) -> None:
        if result.get("msg") and not self._display.verbosity:
            result.pop("exception", None)
        else:
            super()._handle_exception(result, use_stderr=use_stderr)
