"""The Xian workflow backend: processor, projector and API around `con_job_workflow`."""

import logging
from importlib.metadata import version

__version__ = version("workflow-backend")

# What is logged is for services, which set the log up: a command tells a person by itself.
logging.getLogger(__name__).addHandler(logging.NullHandler())
