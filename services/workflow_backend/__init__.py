"""The Xian workflow backend: processor, projector and API around `con_job_workflow`."""

from importlib.metadata import version

__version__ = version("workflow-backend")
