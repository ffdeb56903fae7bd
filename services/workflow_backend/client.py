"""A client of the API that the settings name, for the command line, health and smoke checks."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from workflow_backend_client import ApiError as Refused
from workflow_backend_client import ApiUnavailable as Away
from workflow_backend_client import Client, ClientError, WaitTimeout

from .errors import SettingError, WorkflowError
from .settings import api_ca_file, api_token, api_url

TIMEOUT_SECONDS = 15.0

_HINTS = {401: "name the file of a good token by XIAN_WORKFLOW_API_TOKEN_FILE"}


class ApiError(WorkflowError):
    """The API refused the request."""


class ApiUnavailable(WorkflowError):
    """The API does not answer."""

    hint = "check XIAN_WORKFLOW_API_URL and that the API runs"


def connect(env: Mapping[str, str] = os.environ, timeout: float = TIMEOUT_SECONDS) -> Client:
    """Return a client of the API that the environment names; raises SettingError.

    `timeout` is how many seconds one answer may take. Nothing is repeated: a person, or a check
    that is made again, wants to know at once.
    """
    ca_file = api_ca_file(env)
    try:
        return Client(
            api_url(env),
            token=api_token(env),
            ca_file=ca_file,
            timeout=timeout,
            retry_seconds=0,
        )
    except ValueError:
        raise SettingError("XIAN_WORKFLOW_API_TOKEN_FILE holds no token") from None
    except OSError as error:
        raise SettingError(
            f"XIAN_WORKFLOW_API_CA_FILE ({ca_file}) is not a PEM file of authorities: "
            f"{error.strerror or error}"
        ) from None


@contextmanager
def explained() -> Iterator[None]:
    """Raise what a call of the client raises as WorkflowError, with what a person can do."""
    try:
        yield
    except Refused as error:
        raise ApiError(str(error), hint=_HINTS.get(error.status)) from error
    except WaitTimeout as error:
        hint = "see whether the processor runs and handles its kind"
        raise ApiError(str(error), hint=hint) from error
    except Away as error:
        raise ApiUnavailable(str(error)) from error
    except ClientError as error:
        raise WorkflowError(str(error)) from error
