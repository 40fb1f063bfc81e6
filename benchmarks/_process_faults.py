"""The processes' part of `faults.py`: `kill -9` at random moments, and what is there afterwards.

`rows(kills, quick)` gives flat rows; `python benchmarks/_process_faults.py [--quick] [--json FILE]` prints them by
themselves.

Five things are killed, on SQLite and on PostgreSQL (catalogue, service and queue in a schema each), at a moment drawn
anew each time: the API while batches are posted to it; a worker's slot while it does jobs; `foreproof load`; `foreproof
train`; and a promotion. Then PostgreSQL itself is gone for ten seconds under API and worker (`database_gone`): a relay
in front of it is cut. `violations`: answers but success and 503 while it is gone, batches that were acknowledged and are
not in the lake, jobs whose run is in the log not exactly once, a log or a run's file that does not verify, a pointer to
files that are not there. `wall_seconds` of `recovery50` and `recovery_max`: from the kill (or the return of the database)
to the API's next answer, to the next event of the job, or, for commands, until the project is open again and what they
left is settled.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from common import Check, Row, part

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

import project as shop  # noqa: E402
import sqlalchemy as sa  # noqa: E402

from foreproof.adapters.service import jobs  # noqa: E402
from foreproof.adapters.service.migrate import open_store  # noqa: E402
from foreproof.app.history import verify  # noqa: E402
from foreproof.app.home import Home, open_home  # noqa: E402
from foreproof.app.project import Project  # noqa: E402
from foreproof.app.serving import served  # noqa: E402
from foreproof.app.settle import settle  # noqa: E402
from foreproof.core.log import decode_leaf  # noqa: E402
from relay import Relay, relay  # noqa: E402

GONE = 10.0
"""Seconds that the database is gone for."""
RECOVERY = 5.0
"""Seconds after which a service answers again."""
PLAN = shop.PLAN.replace("examples: 4", "examples: 2").replace("origins: 4", "origins: 2")
PLAN = PLAN.replace("models: [seasonal_naive, theta]", "models: [seasonal_naive]")
PROMOTION = """
import sys
from foreproof.app.home import open_home
from foreproof.app.serving import promote
from pathlib import Path
project = open_home(Path(sys.argv[1])).place("local").project()
print("begun", flush=True)
while True:
    for run in sys.argv[2:]:
        promote(project, run, by="run")
"""


@dataclass
class Told:
    """What kills of one thing came to."""

    case: str
    kills: int = 0
    violations: int = 0
    recovery: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def wrong(self, words: str) -> None:
        """One more violation."""
        self.violations += 1
        self.words.append(words)
        print(f"VIOLATION {self.case}: {words}", file=sys.stderr)

    def rows(self) -> list[Row]:
        """As flat rows."""
        spans = self.recovery or [float("nan")]
        return [
            Row("faults", self.case, "foreproof", "violations", float(self.violations), "count", self.kills),
            Row("faults", f"{self.case}_p50", "foreproof", "wall_seconds", statistics.median(spans), "s", self.kills),
            Row("faults", f"{self.case}_max", "foreproof", "wall_seconds", max(spans), "s", self.kills),
        ]


@dataclass(frozen=True)
class Ground:
    """A home to kill things in, on one kind of database."""

    home: Home
    settings: dict[str, str]
    drawn: random.Random

    def project(self) -> Project:
        """Its one project, opened anew."""
        return self.home.place("local").project()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The installed program on this ground."""
        command = [sys.executable, "-c", "from foreproof.app.start import main; main()", *words]
        return self.program(command)

    def program(self, command: list[str]) -> subprocess.Popen[str]:
        """Any program on this ground, its output on a pipe."""
        return subprocess.Popen(
            command,
            env=shop.environment(**self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )


def rows(kills: int = 200, quick: bool = False) -> list[dict[str, object]]:
    """What was lost, done twice or broken over so many kills, and how long recovery took."""
    total = 10 if quick else kills
    backends = ["sqlite"] + (["postgresql"] if postgres() else [])
    found: list[Row] = []
    for backend in backends:
        share = max(1, total // (5 * len(backends)))
        with ground(backend) as here:
            for case, kill in (
                ("api", api),
                ("load", load),
                ("train", train),
                ("promote", promotion),
                ("worker", worker),
            ):
                told = Told(f"{backend}_{case}")
                kill(here, told, share)
                intact(here, told)
                found += told.rows()
                print(f"{told.case}: {told.kills} kills, {told.violations} violations", file=sys.stderr)
    if "postgresql" in backends:
        url = sa.make_url(postgres())
        with relay(url.host or "127.0.0.1", url.port or 5432) as line:
            near = url.set(host="127.0.0.1", port=line.port).render_as_string(hide_password=False)
            with ground("postgresql", near) as here:
                told = Told("database_gone")
                database_gone(here, told, line, seconds=GONE)
                intact(here, told)
                found += told.rows()
    return [asdict(row) for row in found]


def api(here: Ground, told: Told, kills: int) -> None:
    """Post batches one after the other; every one that was acknowledged is in the lake, whatever was killed when."""
    port, acknowledged, day = free_port(), set[str](), 0
    server = here.start("serve", str(here.home.folder), "--port", str(port))
    answering(port, 120.0)
    for _ in range(kills):
        end = time.monotonic() + here.drawn.uniform(0.1, 2.0)
        while time.monotonic() < end:
            day += 1
            posted(port, day, acknowledged)
        # At any moment of a call: one is under way while the process goes.
        call = subprocess.Popen([sys.executable, "-c", _POST, str(port), str(day + 1)], stderr=subprocess.DEVNULL)
        time.sleep(here.drawn.uniform(0.0, 0.6))
        at = gone(server)
        call.wait()
        told.kills += 1
        server = here.start("serve", str(here.home.folder), "--port", str(port))
        told.recovery.append(answering(port, 120.0) - at)
    gone(server)
    stored = set(here.project().lake.batches("sales")["digest"])
    for digest in acknowledged - stored:
        told.wrong(f"batch {digest[:12]} was acknowledged and is not in the lake")


def database_gone(here: Ground, told: Told, line: Relay, *, seconds: float) -> None:
    """Batches are posted and a job is done while the database goes away for so long, and after: each counts once."""
    port, acknowledged, day = free_port(), set[str](), 0
    before = logged(here)
    server = here.start("serve", str(here.home.folder), "--port", str(port))
    process = here.start("worker", str(here.home.folder), "--name", "gone")
    answering(port, 120.0)
    store = open_store(here.home.settings.store)
    job = jobs.Job(jobs.new_id(), "local", here.home.folder.name, "train", {}, datetime.now(UTC).isoformat())
    jobs.submit(store, job)
    waited(lambda: jobs.find(store, "local", job.id).status == "running", 60.0)

    def post_for(span: float) -> None:
        nonlocal day
        end = time.monotonic() + span
        while time.monotonic() < end:
            day += 1
            posted(port, day, acknowledged, told)

    post_for(2.0)
    line.cut()
    told.kills += 1
    post_for(seconds)
    line.mend()
    at, many = time.monotonic(), len(acknowledged)
    while len(acknowledged) == many and time.monotonic() < at + 120.0:
        post_for(0.02)
    told.recovery.append(time.monotonic() - at)
    waited(lambda: jobs.find(store, "local", job.id).ended, 300.0)
    ended = jobs.find(store, "local", job.id)
    if ended.status != "done" or logged(here) != before + 1:
        told.wrong(f"job {job.id}: {ended.status}, {logged(here) - before} runs in the log, {ended.error}")
    for one in (process, server):
        one.terminate()
        one.wait()
    store.close()
    stored = set(here.project().lake.batches("sales")["digest"])
    for digest in acknowledged - stored:
        told.wrong(f"batch {digest[:12]} was acknowledged and is not in the lake")


def worker(here: Ground, told: Told, kills: int) -> None:
    """Kill the slot while it does jobs; each job is done once, and its run is in the log once."""
    store = open_store(here.home.settings.store)
    before_all = logged(here)
    process = here.start("worker", str(here.home.folder), "--name", "faults")
    asked: list[str] = []
    while told.kills < kills:
        job = jobs.Job(jobs.new_id(), "local", here.home.folder.name, "train", {}, datetime.now(UTC).isoformat())
        jobs.submit(store, job)
        asked.append(job.id)
        while told.kills < kills and not jobs.find(store, "local", job.id).ended:
            time.sleep(here.drawn.uniform(1.0, 12.0))
            if jobs.find(store, "local", job.id).status != "running":
                continue
            before = jobs.events(store, "local", job.id)[-1:]
            at = gone_pid(children(process.pid)[0])
            told.kills += 1
            if went_on := next_event(store, job.id, before[0]["n"] if before else -1):
                told.recovery.append(went_on - at)
    for one in asked:
        waited(lambda one=one: jobs.find(store, "local", one).ended, 300.0)  # type: ignore[misc]
    process.terminate()
    process.wait()
    for one in asked:
        found = jobs.find(store, "local", one)
        done = Counter(
            e["name"] for e in jobs.events(store, "local", one) if e["event"] == "step" and e["status"] == "done"
        )
        if found.status != "done" or max(done.values()) > 1:
            told.wrong(f"job {one}: {found.status}, {dict(done)}, {found.error}")
    runs = logged(here) - before_all
    if runs != len(asked):
        told.wrong(f"{runs} runs in the log for {len(asked)} jobs")
    store.close()


def load(here: Ground, told: Told, kills: int) -> None:
    """Kill `foreproof load` on new facts; started again it loads them, and each row is there once."""
    for _ in range(kills):
        data = shop.csv(shop.rows(items=2, days=100 + told.kills + 1))
        (here.home.folder / "sales.csv").write_text(data, encoding="utf-8")
        command(here, told, "load", longest=6.0)
        rows_there = here.project().lake.table(here.project().contracts[0])
        facts = rows_there.rows.filter(rows_there.rows["item"].str.starts_with("item"))
        if facts.select("item", "_happened").is_duplicated().any():
            told.wrong("a fact is in the lake twice")


def train(here: Ground, told: Told, kills: int) -> None:
    """Kill `foreproof train`; started again it ends, and the log and the run's files verify."""
    for _ in range(kills):
        command(here, told, "train", longest=12.0)


def command(here: Ground, told: Told, name: str, *, longest: float) -> None:
    """Kill a command once, start it again, and see that it ends well."""
    words = (name, "-C", str(here.home.folder))
    first = here.start(*words)
    time.sleep(here.drawn.uniform(0.0, longest))
    at = gone(first)
    told.kills += 1
    # Everything that a killed command may have left open is settled before anything new is done.
    settle(here.project())
    told.recovery.append(time.monotonic() - at)
    again = here.start(*words)
    if again.wait(300):
        told.wrong(f"{name} ended with {again.returncode} after a kill")


def promotion(here: Ground, told: Told, kills: int) -> None:
    """Kill promotions of two runs in turn; what the pointer names is there, whole, and a move that was logged is made."""
    for name in ("load", "train"):
        if here.start(name, "-C", str(here.home.folder)).wait(300):
            told.wrong(f"{name} did not end well")
    runs = [record.run_id for record in here.project().catalog.runs()][-2:]
    for _ in range(kills):
        process = here.program([sys.executable, "-c", PROMOTION, str(here.home.folder), *runs])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(here.drawn.uniform(0.0, 1.0))
        at = gone(process)
        told.kills += 1
        project = here.project()
        pointer = served(project)
        told.recovery.append(time.monotonic() - at)
        if pointer and not (project.folder / "served" / str(pointer["run"]) / "manifest.json").is_file():
            # A process that is killed between two renames leaves this for the next promotion to mend.
            told.wrong(f"the pointer names {pointer['run']}, which is not there")


def intact(here: Ground, told: Told) -> None:
    """The log, its checkpoints and every run's files are as logged."""
    settle(here.project())
    for fault in verify(here.project()):
        told.wrong(fault)


@contextlib.contextmanager
def ground(backend: str, address: str = "") -> Iterator[Ground]:
    """A home with one small project, on SQLite or in schemas of its own of a PostgreSQL: of the tests' one without an address."""
    settings: dict[str, str] = {"FOREPROOF_LOG": "text"}
    if backend == "postgresql":
        name = uuid.uuid4().hex[:10]
        for setting, part in (("SERVICE", "service"), ("JOBS", "queue"), ("CATALOG", "catalog")):
            settings[f"FOREPROOF_{setting}"] = f"{address or postgres()}?schema=f{name}_{part}"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder) / "home"
        shop.make(home, plan=PLAN, data=shop.csv(shop.rows(items=2, days=100)))
        for setting, value in settings.items():
            stack.callback(os.environ.pop, setting, None)
            os.environ[setting] = value
        opened = open_home(home, {**os.environ, "FOREPROOF_WORKERS": "1"})
        open_store(opened.settings.store).close()
        here = Ground(opened, settings, random.Random(7))
        if here.start("load", "-C", str(home)).wait(300):
            raise RuntimeError("the first load did not end well")
        yield here


def postgres() -> str:
    """The address of the PostgreSQL that tests use; empty where it does not answer."""
    import psycopg

    url = os.environ.get("FOREPROOF_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
    try:
        psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=3).close()
    except psycopg.OperationalError:
        return ""
    return url


_POST = """
import sys, urllib.request
from _process_faults import request_of
urllib.request.urlopen(request_of(int(sys.argv[1]), int(sys.argv[2])), timeout=30).read()
"""


def request_of(port: int, day: int) -> urllib.request.Request:
    """A batch of one fact that no other day has."""
    row = {"item": "posted", "date": str(date(1990, 1, 1) + timedelta(day)), "units": day % 50}
    body = json.dumps({"rows": [row]}).encode()
    url = f"http://127.0.0.1:{port}/api/v1/data/sales"
    return urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")


def posted(port: int, day: int, acknowledged: set[str], told: Told | None = None) -> None:
    """Post a batch and keep the digest that was acknowledged. told: who is told of a refusal but 503."""
    try:
        answer = json.loads(urllib.request.urlopen(request_of(port, day), timeout=60).read())
        acknowledged.add(str(answer["digest"]))
    except urllib.error.HTTPError as error:
        if told is not None and error.code != 503:
            told.wrong(f"a batch was answered {error.code}: {error.read()[:300]!r}")
    except OSError as error:
        if told is not None:
            told.wrong(f"a batch had no answer: {error}")


def answering(port: int, seconds: float) -> float:
    """When the API answers that it is ready."""

    def ready() -> bool:
        with contextlib.suppress(OSError, urllib.error.URLError):
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).status == 200)
        return False

    waited(ready, seconds, every=0.02)
    return time.monotonic()


def next_event(store: object, job: str, after: int) -> float | None:
    """When a job said something again; None where it had ended."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if jobs.events(store, "local", job, after=after, limit=1):  # type: ignore[arg-type]
            return time.monotonic()
        if jobs.find(store, "local", job).ended:  # type: ignore[arg-type]
            return None
        time.sleep(0.02)
    return time.monotonic()


def waited(done: Callable[[], bool], seconds: float, *, every: float = 0.1) -> None:
    """Return as soon as it is so. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing after {seconds} s")
        time.sleep(every)


def gone(process: subprocess.Popen[str]) -> float:
    """Kill a process with all that it started; when that was."""
    at = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return at


def gone_pid(pid: int) -> float:
    """Kill one process, not those that it started; when that was."""
    at = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return at


def children(pid: int) -> list[int]:
    """The processes that a process started, while there is at least one."""
    found: list[int] = []

    def some() -> bool:
        lists = Path(f"/proc/{pid}/task").glob("*/children")
        found[:] = [int(word) for path in lists for word in path.read_text(encoding="ascii").split()]
        return bool(found)

    waited(some, 60)
    return found


def logged(here: Ground) -> int:
    """How many runs are in the log."""
    return sum(1 for leaf in here.project().catalog.leaves() if decode_leaf(leaf)["kind"] == "run")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def checks(found: list[Row]) -> list[Check]:
    """Nothing is violated, and everything is back within seconds."""
    wanted = {"violations": 0.0, "wall_seconds": RECOVERY}
    return [Check(row.case, row.metric, high=wanted[row.metric]) for row in found]


if __name__ == "__main__":
    raise SystemExit(part(__doc__ or "", rows, checks))
