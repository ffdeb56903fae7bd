"""The handlers' process: takes jobs over a unix socket, runs them and sends the answers."""

import asyncio
import contextlib
import grp
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ...errors import SettingError
from ...heartbeat import Heartbeat
from ...settings import HandlersSettings
from .configuration import load
from .job import Answer, Handler, Job, answer_to_error
from .kinds import Kind
from .public_text import MAX_PROGRESS, MAX_REASON, public
from .throttle import Throttle
from .wire import MAX_LINE, PROTOCOL, Channel, Message, WireError

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2
"""At least this long from one progress message of a run to the next."""


class Server:
    """Runs the jobs of all connections; `kinds` gives the settings and the handler of each kind."""

    def __init__(self, kinds: Mapping[str, tuple[Kind, Handler]]) -> None:
        self._kinds = kinds
        self._slots = {name: asyncio.Semaphore(k.concurrency) for name, (k, _) in kinds.items()}
        self._runs: set[asyncio.Task[None]] = set()
        self._channels: set[Channel] = set()

    @property
    def running(self) -> int:
        """How many jobs there are, including those that wait for a free place."""
        return len(self._runs)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take jobs from one processor until it disconnects; then cancel its jobs."""
        channel = Channel(reader, writer)
        self._channels.add(channel)
        runs: dict[int, asyncio.Task[None]] = {}
        kinds = {name: asdict(kind) for name, (kind, _) in self._kinds.items()}
        channel.send({"hello": PROTOCOL, "kinds": kinds})
        try:
            async for message in channel.receive():
                self._take(channel, runs, message)
        except (WireError, KeyError, TypeError) as error:
            log.warning("a processor broke the protocol: %r", error)
        finally:
            self._channels.discard(channel)
            for task in runs.values():
                task.cancel()
            await channel.close()

    def _take(
        self, channel: Channel, runs: dict[int, asyncio.Task[None]], message: Message
    ) -> None:
        if "run" in message:
            number = message["run"]

            def tell(text: str) -> None:
                channel.send({"progress": number, "text": public(text, MAX_PROGRESS)})

            job = Job.from_dict(message["job"], Throttle(tell, PROGRESS_SECONDS))
            task = asyncio.create_task(self._run(channel, number, job))
            runs[number] = task
            self._runs.add(task)
            task.add_done_callback(lambda _: runs.pop(number, None))
            task.add_done_callback(self._runs.discard)
        elif "cancel" in message and message["cancel"] in runs:
            runs[message["cancel"]].cancel()
        elif "ping" in message:
            channel.send({"pong": 1})

    async def _run(self, channel: Channel, number: int, job: Job) -> None:
        try:
            answer = await self._answer(job)
        except asyncio.CancelledError:
            # Only the processor and `drain` cancel a run, which then does not count as a try.
            answer = Answer("interrupted", "the handlers' process ends")
        if answer.outcome != "completed":
            answer = answer._replace(text=public(answer.text, MAX_REASON))
        channel.send({"done": number, **answer._asdict()})

    async def _answer(self, job: Job) -> Answer:
        kind, handler = self._kinds[job.item["kind"]]
        async with self._slots[job.item["kind"]]:
            try:
                async with asyncio.timeout(kind.timeout_seconds):
                    return await _judged(handler, job)
            except TimeoutError:
                return Answer("retry", f"it took longer than {kind.timeout_seconds:g} s")

    async def drain(self, seconds: float) -> None:
        """Tell processors to send no more, let jobs end, and cancel those that do not."""
        for channel in self._channels:
            channel.send({"closing": 1})
        if self._runs:
            await asyncio.wait(self._runs, timeout=seconds)
        for task in self._runs:
            task.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        for channel in list(self._channels):
            await channel.close()


async def _judged(handler: Handler, job: Job) -> Answer:
    try:
        return await handler.run(job)
    except Exception as error:
        log.exception("[%s] %s", job.item["kind"], job.item["item_id"])
        return answer_to_error(error)


async def run(settings: HandlersSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain; raises SettingError where it can't begin."""
    _refuse_key()
    kinds = load(settings.file)
    server = Server(kinds)
    heartbeat = Heartbeat(settings.state_dir, "handlers")
    async with _started(kinds), _listening(settings, server) as listener, heartbeat.beating():
        log.info("handling %s on %s", ", ".join(sorted(kinds)), settings.socket)
        watchdog = heartbeat.watch("the handlers' server")
        while not stop.is_set():
            watchdog.beat()
            heartbeat.status = {"kinds": sorted(kinds), "running": server.running}
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
        watchdog.idle()
        listener.close()
        await server.drain(settings.drain_seconds)
    log.info("handlers stopped")


def _refuse_key() -> None:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if (
        "XIAN_WALLET_PRIVATE_KEY" in os.environ
        or "XIAN_WORKFLOW_WALLET_KEY_FILE" in os.environ
        or (credentials and Path(credentials, "wallet_key").exists())
    ):
        raise SettingError(
            "the handlers' process was given a wallet's key",
            hint="start it without: handlers run other people's code and must not see the key",
        )


@contextlib.asynccontextmanager
async def _started(kinds: Mapping[str, tuple[Kind, Handler]]) -> AsyncIterator[None]:
    try:
        for name, (_, handler) in kinds.items():
            try:
                await handler.start()
            except SettingError as error:
                raise SettingError(f"[{name}]: {error}", hint=error.hint) from error
        yield
    finally:
        await asyncio.gather(*(handler.close() for _, handler in kinds.values()))


@contextlib.asynccontextmanager
async def _listening(
    settings: HandlersSettings, server: Server
) -> AsyncIterator[asyncio.AbstractServer]:
    path = settings.socket
    listener = await asyncio.start_unix_server(
        partial(_guard, server), sock=_listen(path, settings.group), limit=MAX_LINE
    )
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


async def _guard(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        await server.serve(reader, writer)
    except asyncio.CancelledError:
        # The streams would log a cancelled connection as an error at each orderly stop.
        writer.close()


def _listen(path: Path, group: str | None) -> socket.socket:
    """Listen where only this account, or a group, may connect."""
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(str(path))
    except OSError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a killed process leaves its socket behind
    else:
        raise SettingError(
            f"another process listens on {path}",
            hint="stop it or name another XIAN_WORKFLOW_HANDLERS_SOCKET",
        )
    finally:
        probe.close()
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        if group is not None:
            gid = grp.getgrnam(group).gr_gid
            if path.stat().st_gid != gid:  # a unit may not make the call where it is not needed
                os.chown(path, -1, gid)
            path.chmod(0o660)
        listener.listen()
    except (OSError, KeyError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else f"there is no group {group}"
        raise SettingError(f"can't listen on {path}: {reason}") from error
    finally:
        os.umask(before)
    return listener
