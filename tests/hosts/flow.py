"""Clients that submit items all the time, and what must have become of every one of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

from workflow_backend.operations.tunnel import tunnel
from workflow_backend_client import ApiError, ApiUnavailable, Client
from workflow_backend_client.models import SETTLED

from .network import Network

API = "http://127.0.0.1:8000"
TOKEN = "/etc/workflow-backend/credentials/operator/api_token"
"""The operator's, on each host with an API."""

_PAGE = 500


class Flow:
    """Items that are submitted to any of several APIs; where one is away, to the next."""

    def __init__(
        self, apis: Sequence[Client], prefix: str, pause: float, kind: str, clients: int
    ) -> None:
        self._apis = apis
        self._prefix = prefix
        self._pause = pause
        self._kind = kind
        self._stopped = threading.Event()
        self.accepted: list[str] = []
        self.problems: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def until(self, number: int, timeout: float = 300) -> None:
        """Wait until so many items are accepted."""
        deadline = time.monotonic() + timeout
        while len(self.accepted) < number:
            assert time.monotonic() < deadline, f"{len(self.accepted)} items: {self.problems}"
            time.sleep(0.1)

    def stop(self) -> None:
        """Submit no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(120)

    def _run(self, thread: int) -> None:
        number = 0
        while not self._stopped.is_set():
            item_id = f"{self._prefix}-{thread}-{number}"
            number += 1
            if self._submit(item_id, thread + number):
                self.accepted.append(item_id)
            else:
                self.problems.append(item_id)
            self._stopped.wait(self._pause)

    def _submit(self, item_id: str, first: int, patience: float = 90) -> bool:
        """Submit as a client does that wants it done: the same request until one answers."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                self._apis[first % len(self._apis)].submit(item_id, "urn:test", kind=self._kind)
            except (ApiUnavailable, ApiError) as error:
                if isinstance(error, ApiError) and error.status != 503:
                    self.problems.append(str(error))
                    return False
                first += 1
                time.sleep(0.2)
            else:
                return True
        return False

    def settle(self, timeout: float = 300) -> None:
        """Wait until every accepted item has ended, then hold each to one terminal transition."""
        assert not self.problems, self.problems[:5]
        assert self.accepted
        deadline = time.monotonic() + timeout
        while True:
            ends = self._ends(self._apis[0])
            missing = [item for item in self.accepted if not ends[item]]
            if not missing:
                break
            assert time.monotonic() < deadline, f"lost: {missing[:5]} of {len(self.accepted)}"
            time.sleep(1)
        twice = {item: number for item, number in ends.items() if number != 1}
        assert not twice, twice
        for api in self._apis:  # what one projection has, the other has
            while (other := self._ends(api)) != ends:
                assert time.monotonic() < deadline, f"{len(other)} of {len(ends)} at {api.url}"
                time.sleep(0.5)

    def attempts(self) -> set[int]:
        """How often the accepted items were claimed."""
        return {self._apis[0].get(item)["item"]["attempt"] for item in self.accepted}

    def _ends(self, api: Client) -> Counter[str]:
        ends: Counter[str] = Counter()
        for status in SETTLED:
            # By status: an earlier release has another name for the filter by event.
            ended = api.iterate_events(status=status, id_prefix=self._prefix, limit=_PAGE)
            ends.update(str(event["item_id"]) for event in ended)
        return ends


@contextmanager
def flowing(
    network: Network,
    hosts: Sequence[str],
    prefix: str,
    pause: float = 0.1,
    kind: str = "job",
    *,
    clients: int = 3,
) -> Iterator[Flow]:
    """Submit to the APIs of these hosts, which only they themselves reach, for a while.

    Each client waits until its item is accepted, and then `pause` seconds.
    """
    with ExitStack() as tunnels:
        ssh = ["ssh", "-F", str(network.folder / "ssh_config")]
        urls = [tunnels.enter_context(tunnel([*ssh, host], API)) for host in hosts]
        token = network[hosts[0]].output(f"cat {TOKEN}").strip()
        apis = [
            tunnels.enter_context(Client(url, timeout=20, token=token, retry_seconds=0))
            for url in urls
        ]
        with Flow(apis, prefix, pause, kind, clients) as flow:
            yield flow
        flow.settle()
