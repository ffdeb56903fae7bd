"""Submit an item and wait until it is settled: python examples/submit.py ITEM_ID [KIND]."""

import os
import sys

from workflow_backend_client import Client

item_id, *kind = sys.argv[1:]

with Client(os.environ.get("XIAN_WORKFLOW_API_URL", "http://127.0.0.1:8000")) as client:
    accepted = client.submit(item_id, "https://example.org/work", kind=kind[0] if kind else "job")
    print(f"in transaction {accepted['tx_hash']}")
    item = client.wait(item_id, seconds=60)
    print(f"{item['status']}: {item['result_uri'] or item['failure_reason']}")
