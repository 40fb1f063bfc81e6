"""One slot of a worker: a process that takes one job at a time under an executor id of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from filelock import FileLock, Timeout

from foreproof.adapters.queue import Handlers, Outcome, Queue
from foreproof.adapters.service import jobs
from foreproof.adapters.service.jobs import Job
from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.usage import Used, record
from foreproof.app.home import Home
from foreproof.app.jobs.child import Ended, Event, run_child
from foreproof.app.jobs.dispatch import Dispatcher
from foreproof.app.jobs.kinds import STEPS
from foreproof.errors import ForeproofError, NotFound, StoreError

T = TypeVar("T")
_LOOK, _SCHEDULES, _ORPHANS = 0.25, 2.0, 20.0
"""Seconds between two looks for new jobs, for what is due, and for executors that are gone."""
_PATIENCE = 600.0
"""Seconds that a store may be gone before a job fails of it."""
_TRIES = 3
"""How often a step is begun that something else kills."""


@dataclass
class Slot:
    """What a slot process is made of. stopping: it begins nothing more. idle: nothing is lost if it ends now."""

    home: Home
    executor: str
    store: ServiceStore
    stopping: threading.Event = field(default_factory=threading.Event)
    idle: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def steps(self, tenant: str, job: str) -> Sequence[str]:
        """The steps of a job, none where it ended before it began."""
        self.idle.clear()
        try:
            found = patient(lambda: jobs.begin(self.store, tenant, job, _now()))
        except NotFound:
            return ()
        return () if found.ended else STEPS[found.kind]

    def step(self, tenant: str, job: str, name: str) -> Outcome:
        """Do one step in a process of its own, and say and charge what it did."""
        while self.stopping.is_set():
            # What came before is kept: this one is begun when the slot is back.
            self.idle.set()
            time.sleep(_LOOK)
        try:
            found = patient(lambda: jobs.find(self.store, tenant, job))
            self._settle(found, name)
            ended = self._tried(found, name)
            outcome = _outcome(name, ended)
            self._close(found, name, outcome, ended.cpu_seconds, seconds=ended.seconds)
        except ForeproofError as error:
            return {"name": name, "status": "failed", "error": error.as_dict()}
        return {"name": name, **outcome}

    def end(self, tenant: str, job: str, outcomes: Sequence[Outcome]) -> None:
        """Give a job its final status; the result is that of its last step, and of all by name."""
        self.idle.set()
        if not outcomes:
            return
        found = patient(lambda: jobs.find(self.store, tenant, job))
        last = outcomes[-1]
        result = None
        if last["status"] == "done":
            result = {**last["result"], "steps": {str(one["name"]): one["result"] for one in outcomes[:-1]}}
        status, error = str(last["status"]), last.get("error")
        patient(lambda: jobs.end(self.store, found, status, at=_now(), result=result, error=error))
        say(f"{self.executor}: job {job} {status}")

    def _tried(self, job: Job, name: str) -> Ended:
        """Run the step, again where something else than a request killed it; the CPU of all tries counts."""
        cpu, wall = 0.0, 0.0
        words = (str(self.home.folder), job.tenant, job.project, job.id, job.kind, name, json.dumps(dict(job.request)))
        for tries in range(1, _TRIES + 1):
            self._say(job, [("step", {"name": name, "status": "running", "worker": self.executor})])
            if self._stopped(job):
                return Ended({}, 0, 0, True, wall, cpu)
            ended = run_child(words, said=lambda events: self._say(job, events), stop=lambda: self._stopped(job))
            cpu, wall = cpu + ended.cpu_seconds, wall + ended.seconds
            if ended.stopped or not ended.signal or tries == _TRIES:
                break
            self._say(job, [("log", {"line": f"{name} was ended by signal {ended.signal}; it is begun again"})])
        return Ended(ended.outcome, ended.code, ended.signal, ended.stopped, wall, cpu)

    def _settle(self, job: Job, name: str) -> None:
        """Charge what a worker that was killed had begun of this step: as much as its last progress told."""
        told = patient(lambda: jobs.events(self.store, job.tenant, job.id, limit=1_000_000, kinds=("step", "progress")))
        begun = [one for one in told if one["event"] == "step" and one["name"] == name]
        if not begun or begun[-1]["status"] != "running":
            return
        used = [one.get("cpu_seconds", 0.0) for one in told if one["event"] == "progress" and one["n"] > begun[-1]["n"]]
        self._close(job, name, {"status": "interrupted"}, max(used, default=0.0))

    def _close(self, job: Job, name: str, outcome: Outcome, cpu: float, *, seconds: float | None = None) -> None:
        said = {"name": name, "status": outcome["status"], "cpu_seconds": round(cpu, 3)}
        if seconds is not None:
            said["seconds"] = round(seconds, 3)
        self._say(job, [("step", said)])
        predicted = int(outcome.get("result", {}).get("predicted", 0))
        used = Used(job.tenant, _now(), "job", job.kind, job.id, cpu_ns=round(cpu * 1e9), rows_predicted=predicted)
        patient(lambda: record(self.store, [used]))

    def _say(self, job: Job, events: Sequence[Event]) -> None:
        patient(lambda: jobs.say(self.store, job.tenant, job.id, _now(), events))

    def _stopped(self, job: Job) -> bool:
        try:
            return jobs.stopped(self.store, job.tenant, job.id)
        except StoreError:
            return False


def run_slot(home: Home, name: str, number: int, alive: int) -> None:
    """Be slot `number` of the worker `name` until a signal ends it, or the supervisor: it holds the other end of `alive`."""
    executor = executor_of(name, number)
    lock = FileLock(lock_of(home, executor))
    # Two processes under one executor id would take up each other's jobs.
    lock.acquire()
    slot = Slot(home, executor, ServiceStore(home.settings.store))
    threading.Thread(target=_end_with_supervisor, args=(alive,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: slot.stopping.set())
    queue = Queue(home.settings.jobs, executor, Handlers(slot.steps, slot.step, slot.end))
    queue.start()
    say(f"{executor}: ready")
    _serve(slot, queue, Dispatcher(home, slot.store, queue.put, told=say))


def _serve(slot: Slot, queue: Queue, dispatcher: Dispatcher) -> None:
    """Look for work until the slot is to stop and may end; what is left goes on at the next start."""
    when: dict[Callable[[], object], tuple[float, float]] = {
        dispatcher.hand_on: (_LOOK, 0.0),
        dispatcher.ask_due: (_SCHEDULES, 0.0),
        lambda: queue.adopt(gone(slot.home, slot.executor)): (_ORPHANS, 0.0),
    }
    while not (slot.stopping.is_set() and slot.idle.is_set()):
        for action, (every, last) in when.items():
            if time.monotonic() - last >= every and not slot.stopping.is_set():
                try:
                    action()
                except ForeproofError as error:
                    say(f"{slot.executor}: {error}")
                when[action] = (every, time.monotonic())
        time.sleep(_LOOK)
    say(f"{slot.executor}: stopped")
    sys.stderr.flush()
    # Without DBOS's own farewell, which would wait for the job: that goes on at its next step when this slot is back.
    os._exit(0)


def executor_of(name: str, number: int) -> str:
    """The id under which a slot's jobs are taken up again."""
    return f"{name}-slot-{number}"


def lock_of(home: Home, executor: str) -> str:
    """The file that the process of an executor holds."""
    folder = home.inside / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / f"{executor}.lock")


def gone(home: Home, own: str) -> list[str]:
    """Executors that ran here once and whose process is gone: a smaller worker, or one of another name."""
    found = []
    for path in sorted((home.inside / "worker").glob("*-slot-*.lock")):
        if path.stem == own:
            continue
        with suppress(Timeout), FileLock(str(path), timeout=0):
            found.append(path.stem)
    return found


def patient(call: Callable[[], T], *, seconds: float = _PATIENCE) -> T:
    """What a call gives, asked again for a while where a store does not answer."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except StoreError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def say(words: str) -> None:
    """A line for whoever looks after the worker."""
    print(words, file=sys.stderr, flush=True)


def _outcome(name: str, ended: Ended) -> Outcome:
    """How a step ended, and with what."""
    match ended:
        case Ended(stopped=True):
            return {"status": "cancelled"}
        case Ended(outcome={"result": result}):
            return {"status": "done", "result": result}
        case Ended(outcome={"error": error}):
            return {"status": "failed", "error": error}
        case _:
            return {"status": "failed", "error": _died(name, ended).as_dict()}


def _died(name: str, ended: Ended) -> ForeproofError:
    how = f"signal {ended.signal}" if ended.signal else f"exit code {ended.code} without a word"
    fix = "look for what kills processes on that machine: memory, most often"
    return ForeproofError(
        f"step {name}", found=f"its process ended by {how}, {_TRIES} times", wanted="a result", fix=fix
    )


def _end_with_supervisor(alive: int) -> None:
    with suppress(OSError):
        while os.read(alive, 1):
            pass
    os._exit(1)


def _now() -> datetime:
    return datetime.now(UTC)


__all__ = ["Slot", "executor_of", "gone", "lock_of", "patient", "run_slot", "say"]
