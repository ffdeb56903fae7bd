"""Handlers: what is done with an item, in a process that knows neither the wallet nor the node.

Whoever writes a handler in Python needs `Job`, `Fail` and `Retry`, nothing else of this package.
"""

from .job import Fail, Job, Retry

__all__ = ["Fail", "Job", "Retry"]
