"""Handlers do the work of items, in a process that knows neither the wallet nor the node.

A handler in Python needs `Job`, `Fail` and `Retry`, and nothing else of this package.
"""

from .job import Fail, Job, Retry

__all__ = ["Fail", "Job", "Retry"]
