"""`make test-hosts`: runs scenarios, two at a time, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from steps import SetupError, say, step, stop_running, write_json

from . import LOGS, REPO, discovery, images, network
from .discovery import Scenario
from .group import Group, of_command
from .host import notable
from .store import Owner
from .turns import Turns

_AT_A_TIME = 2
_LONGEST = 2700  # seconds; a hang is a failure
_LONGEST_BY_NAME = 5400
_PATIENCE = 20  # seconds that an interrupted scenario has for taking its hosts down
_TIMES = REPO / ".cache" / "hosts-seconds.json"
_SHOWN_LINES = 60
_REASON = re.compile(r"FAILED .*::|ERROR .*::|fatal: |error: |\[ERROR\]")


@dataclass(frozen=True)
class Result:
    """What came of a scenario."""

    scenario: Scenario
    seconds: float
    problem: str
    log: Path


class Runner:
    """Runs scenarios; `stop` ends them from another thread or a signal's handler."""

    def __init__(self) -> None:
        self._running: set[tuple[subprocess.Popen[bytes], Group]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._results: list[Result] = []

    def run(self, scenarios: Sequence[Scenario]) -> list[Result]:
        """Run them all; return what came of each, by name."""
        seconds = _earlier_seconds()
        turns = Turns(scenarios, seconds)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            try:
                for worker in [pool.submit(self._work, turns) for _ in range(_AT_A_TIME)]:
                    worker.result()
            except BaseException:
                turns.end()
                self.stop()
                raise
        results = self._results
        write_json(_TIMES, seconds | {r.scenario.name: round(r.seconds) for r in results})
        return sorted(results, key=lambda result: result.scenario.name)

    def stop(self) -> None:
        """Let what runs end itself, and kill what does not."""
        self._stopped = True
        with self._lock:
            running = list(self._running)
        for process, _ in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        deadline = time.monotonic() + _PATIENCE
        while any(p.poll() is None for p, _ in running) and time.monotonic() < deadline:
            time.sleep(0.1)
        for _, group in running:
            group.kill()

    def _work(self, turns: Turns) -> None:
        while scenario := turns.take():
            try:
                self._results.append(self._run(scenario))
            finally:
                turns.give_back(scenario)

    def _run(self, scenario: Scenario) -> Result:
        log = LOGS / f"{scenario.name.replace('/', '-')}.log"
        say(f"{scenario.name} ...")
        # Of an earlier run; those of others may be another run's.
        for journal in _journals(scenario):
            journal.unlink()
        began = time.monotonic()
        with log.open("wb") as output:
            group = of_command()
            process = group.start(
                scenario.command,
                cwd=scenario.folder,
                env=_environment(scenario),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self._lock:
            self._running.add((process, group))
        if self._stopped:  # meanwhile
            group.kill()
        try:
            problem = self._wait(process, _LONGEST_BY_NAME if scenario.by_name else _LONGEST)
        finally:
            with self._lock:
                self._running.discard((process, group))
            group.kill()
        result = Result(scenario, time.monotonic() - began, problem, log)
        say(line(result))
        if problem and not self._stopped:
            say(_end_of(log))
            self._show_journals(scenario)
        return result

    def _show_journals(self, scenario: Scenario) -> None:
        """What hosts of a scenario of Molecule wrote; pytest's tests show it themselves."""
        for file in _journals(scenario):
            say(f"  journal of {file.stem}: {file}")
            say(_indented(notable(file.read_text(errors="replace"))))

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> str:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"not done within {seconds:g} s"
        return "" if code == 0 else "stopped" if self._stopped else f"exit code {code}"


def main(words: Sequence[str]) -> int:
    """Run the scenarios that are named, or all; return the exit code."""
    began = time.monotonic()
    images.check_machine()
    scenarios = discovery.chosen(discovery.scenarios(REPO), words)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    me = Owner.of(os.getpid())
    os.environ["WORKFLOW_BACKEND_HOSTS_OWNER"] = str(me.pid)
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        for left in network.clean():
            say(f"{left}, which an earlier run left, is taken down")
        _prepare()
        results = Runner().run(scenarios)
    finally:
        network.clean(of=me)
    return _tell(results, time.monotonic() - began)


def line(result: Result) -> str:
    """One line for people."""
    verdict = f"FAILED ({result.problem}): {result.log}" if result.problem else "ok"
    return f"{result.scenario.name:<24} {result.seconds:>5.0f} s  {verdict}"


def _tell(results: Sequence[Result], seconds: float) -> int:
    failed = sum(bool(result.problem) for result in results)
    say("")
    for result in results:
        say(line(result))
        if result.problem:
            say(_indented("\n".join(_reasons(result.log))))
    say(f"{len(results)} scenarios, {failed} failed, {seconds:.0f} s")
    return 1 if failed else 0


def _prepare() -> None:
    """Make what all scenarios need: images and the release."""
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(images.make, suite) for suite in images.SUITES]
        release = of_command()
        built = pool.submit(_build_release, release)
        try:
            for image in made:
                image.result()
            built.result()
        except BaseException:
            stop_running()
            release.kill()
            raise


def _build_release(group: Group) -> None:
    """What the scenarios deploy: once for all of them."""
    with step("Release"):
        log = LOGS / "release.log"
        with log.open("wb") as output:
            process = group.start(
                [Path(sys.executable).with_name("workflow-backend"), "release", "build"],
                cwd=REPO,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        code = process.wait()
        group.kill()
        if code != 0:
            say(_end_of(log))
            raise SetupError("the release can't be built", f"read {log}")


def _environment(scenario: Scenario) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "MOLECULE_COMMAND_BORDERS": "0",
        # Of its own: another clone's scenario of the same name may be running.
        "MOLECULE_EPHEMERAL_DIRECTORY": str(REPO / ".cache" / "molecule" / scenario.name),
    }


def _journals(scenario: Scenario) -> list[Path]:
    return sorted((LOGS / scenario.network).glob("*.journal"))


def _earlier_seconds() -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads(_TIMES.read_text())
    except OSError, ValueError:
        return {}
    return found


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    return _indented("\n".join(lines))


def _reasons(log: Path) -> list[str]:
    """The lines that name what failed, for who sees only the end of the output."""
    lines = log.read_text(errors="replace").splitlines()
    return [line.strip()[:300] for line in lines if _REASON.match(line.strip())][-5:]


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
