"""What goes wrong, and how a program tells it apart."""

import os

from workflow_backend_client import ApiError, ApiUnavailable, Client, WaitTimeout

URL = os.environ.get("XIAN_WORKFLOW_API_URL", "http://127.0.0.1:8000")

with Client(URL) as client:
    try:
        client.submit("not an id", "https://example.org/work")
    except ApiError as error:
        print(f"{error.status}: {error.fields}")

    try:
        client.get("never-submitted")
    except ApiError as error:
        print(f"{error.status}: {error.detail}")

    client.submit("nobody-handles-this", "https://example.org/work", kind="unheard-of")
    try:
        client.wait("nobody-handles-this", seconds=1)
    except WaitTimeout as error:
        print(error)

with Client("http://127.0.0.1:9", retry_seconds=1) as nobody:
    try:
        nobody.health()
    except ApiUnavailable as error:
        print(error)
