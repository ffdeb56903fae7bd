"""Print each event as it happens, from the first one on with --all. Ctrl-C ends it."""

import os
import sys

from workflow_backend_client import Client

with Client(os.environ.get("XIAN_WORKFLOW_API_URL", "http://127.0.0.1:8000")) as client:
    try:
        for streamed in client.stream("0" if "--all" in sys.argv else None):
            event = streamed.event
            print(event["event_id"], event["event_name"], event["item_id"], flush=True)
    except KeyboardInterrupt:
        pass
