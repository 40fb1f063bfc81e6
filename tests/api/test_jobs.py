"""Jobs over HTTP, and real workers that do them: killed, cancelled, on SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project
from fastapi.testclient import TestClient
from filelock import FileLock

from foreproof.adapters.service import jobs, usage
from foreproof.adapters.service.migrate import open_store
from foreproof.app.api.app import create_app
from foreproof.app.history import verify
from foreproof.app.home import Home, open_home
from foreproof.app.jobs import slot as slots
from foreproof.app.jobs.child import Ended, run_child
from foreproof.app.jobs.slot import Slot
from foreproof.app.jobs.work import Asked, do_step
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.core.log import decode_leaf
from foreproof.errors import BadInput

PLAN = project.PLAN.replace("examples: 4", "examples: 2").replace("origins: 4", "origins: 2")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two tenants with a small project each; nothing was run."""
    folder = tmp_path / "home"
    for where in (folder / "shop", folder / "tenants" / "other" / "shop"):
        project.make(where, plan=PLAN, data=project.csv(project.rows(items=2, days=100)))
    found = open_home(folder, {})
    open_store(found.settings.store).close()
    return found


@pytest.fixture
def client(home: Home) -> Iterator[TestClient]:
    with TestClient(create_app(home), raise_server_exceptions=False) as found:
        yield found


@contextlib.contextmanager
def working(home: Home, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """`foreproof worker` on a home."""
    command = [sys.executable, "-c", "from foreproof.app.cli import main; main()", "worker", str(home.folder)]
    with (home.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--name", "test"], env=project.environment(**settings), stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def soon(found: Callable[[], Any], home: Home, *, seconds: float = 120.0) -> Any:
    """What `found` gives as soon as that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError((home.folder / "worker.log").read_text(encoding="utf-8"))


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in lists for word in path.read_text(encoding="ascii").split()]


def test_a_killed_workers_job_goes_on_at_its_last_finished_step_and_leaves_one_run(
    home: Home, client: TestClient
) -> None:
    asked = client.post("/api/v1/jobs", json={"kind": "train"})
    assert (asked.status_code, asked.json()["status"]) == (202, "queued")
    job = f"/api/v1/jobs/{asked.json()['job']}"

    def steps() -> dict[str, Any]:
        return {step["name"]: step for step in client.get(job).json()["steps"]}

    with working(home) as worker:
        soon(lambda: steps().get("train", {}).get("status") == "running", home)
        soon(lambda: (client.get(job).json()["progress"] or {}).get("stage") == "fit", home)
        (slot,) = children(worker.pid)
        step = soon(lambda: children(slot), home)[0]
        killed = time.monotonic()
        os.kill(slot, signal.SIGKILL)
        soon(lambda: not Path(f"/proc/{step}").exists(), home, seconds=5)
        soon(lambda: any(e.get("status") == "interrupted" for e in client.get(f"{job}/events").json()["items"]), home)
        assert time.monotonic() - killed < 15, "on an idle machine it is one second"
        found = soon(lambda: (answer := client.get(job).json())["finished"] and answer, home)
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    assert (found["status"], found["error"]) == ("done", None)
    told = client.get(f"{job}/events").json()["items"]
    assert [e["n"] for e in told] == list(range(len(told)))
    begun = Counter(e["name"] for e in told if e["event"] == "step" and e["status"] == "running")
    assert begun == {"load": 1, "train": 2}
    opened = open_project(home.folder / "shop")
    assert Counter(decode_leaf(leaf)["kind"] for leaf in opened.catalog.leaves()) == {"key": 1, "run": 1}
    assert verify(opened) == []
    assert opened.lake.batches("sales").height == 1
    # Nothing was served: there is nothing to score, and nothing to publish but what is proven.
    place = home.place("local")
    scored = do_step(Asked(place, "j", "score_outcomes", "score_outcomes", {}), Silent())
    assert (scored["rows"], scored["runs"]) == (0, {})
    with pytest.raises(BadInput, match="no run to publish"):
        do_step(Asked(place, "j", "publish", "publish", {}), Silent())
    with pytest.raises(BadInput, match="status not proven"):
        do_step(Asked(place, "j", "publish", "publish", {"run": found["result"]["run"]}), Silent())
    # What was charged is what the steps say they used, the interrupted one included.
    now = datetime.now(UTC)
    sums = usage.summed(
        open_store(home.settings.store),
        tenant="local",
        start=now - timedelta(hours=2),
        end=now + timedelta(hours=1),
        by="job",
    )
    assert sum(row["cpu_ns"] for row in sums) / 1e9 == pytest.approx(
        sum(step["cpu_seconds"] for step in found["steps"]), abs=0.01
    )
    with client.stream("GET", f"{job}/events", headers={"accept": "text/event-stream", "last-event-id": "2"}) as said:
        lines = [line for line in said.iter_lines() if line.startswith("id:")]
    assert lines == [f"id: {n}" for n in range(3, len(told))]


def test_on_postgresql_a_job_is_done_and_a_running_one_is_cancelled_within_a_second(
    home: Home, postgres_url: str
) -> None:
    schema = uuid.uuid4().hex[:12]
    settings = {
        "FOREPROOF_SERVICE": f"{postgres_url}?schema=service_{schema}",
        "FOREPROOF_JOBS": f"{postgres_url}?schema=queue_{schema}",
    }
    served = open_home(home.folder, settings)
    open_store(served.settings.store).close()
    with TestClient(create_app(served)) as client, working(home, **settings) as worker:
        first = client.post("/api/v1/jobs", json={"kind": "load"}).json()["job"]
        found = soon(lambda: (answer := client.get(f"/api/v1/jobs/{first}").json())["finished"] and answer, home)
        assert (found["status"], found["result"]["loads"][0]["added"]) == ("done", 200)
        second = client.post("/api/v1/jobs", json={"kind": "train"}).json()["job"]
        (slot,) = children(worker.pid)
        (step,) = soon(lambda: children(slot), home)
        asked = time.monotonic()
        client.post(f"/api/v1/jobs/{second}/cancel")
        soon(lambda: not Path(f"/proc/{step}").exists(), home, seconds=10)
        assert time.monotonic() - asked < 5, "on an idle machine it is half a second"
        found = soon(lambda: (answer := client.get(f"/api/v1/jobs/{second}").json())["finished"] and answer, home)
        assert (found["status"], found["steps"][-1]["status"]) == ("cancelled", "cancelled")
        # A supervisor that is killed takes its slots with it.
        worker.kill()
        soon(lambda: not Path(f"/proc/{slot}").exists(), home, seconds=10)


def test_with_one_slot_two_tenants_take_turns(tmp_path: Path) -> None:
    """The queue itself, with steps that only write down whose turn it is."""
    program = """
import sys, time
from foreproof.adapters.queue import Handlers, Queue
done = []
handlers = Handlers(
    lambda tenant, job: ["only"],
    lambda tenant, job, step: done.append(job) or {"status": "done", "result": {}},
    lambda tenant, job, outcomes: None,
)
queue = Queue(sys.argv[1], "test-slot-0", handlers)
queue.start()
for job, turn in (("a1", 1), ("a2", 2), ("a3", 3), ("b1", 1), ("b2", 2), ("b1", 1)):
    queue.put(job[0], job, turn)
while len(done) < 5:
    time.sleep(0.05)
time.sleep(1.0)
print(" ".join(done))
sys.stdout.flush()
import os
os._exit(0)
"""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    ran = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True, timeout=120)
    order = ran.stdout.split()
    assert sorted(order) == ["a1", "a2", "a3", "b1", "b2"], "each once, though one was put twice"
    # The first poll may come between two puts; from then on turns alternate.
    assert order.index("b1") < order.index("a3")
    assert order.index("b2") < order.index("a3")


def test_another_tenants_jobs_do_not_exist(home: Home, client: TestClient) -> None:
    store = open_store(home.settings.store)
    theirs = jobs.Job(jobs.new_id(), "other", "shop", "load", {}, datetime.now(UTC).isoformat())
    jobs.submit(store, theirs)
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
        answer = client.request(method, f"/api/v1/jobs/{theirs.id}{path}")
        assert (answer.status_code, answer.json()["object"]) == (404, f"job {theirs.id}")
    assert client.get("/api/v1/jobs").json()["total"] == 0
    assert jobs.find(store, "other", theirs.id).status == "queued"


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({}, "body.kind"),
        ({"kind": "dance"}, "kind"),
        ({"kind": "load", "run": "x"}, "load.run"),
        ({"kind": "scenario"}, "scenario.name"),
        ({"kind": "scenario", "name": "x", "price": "dear"}, "body.price"),
        ({"kind": "load", "shell": "x"}, "body.shell"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_no_job_is_kept(
    client: TestClient, body: dict[str, object], about: str
) -> None:
    answer = client.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["object"]) == (422, about)
    assert client.get("/api/v1/jobs").json()["total"] == 0


def test_jobs_are_listed_by_page_and_cancelled_before_they_begin(client: TestClient) -> None:
    asked = [client.post("/api/v1/jobs", json={"kind": "load"}).json()["job"] for _ in range(3)]
    page = client.get("/api/v1/jobs", params={"limit": 2, "offset": 1}).json()
    assert ([row["job"] for row in page["items"]], page["total"]) == ([asked[1], asked[0]], 3)
    assert client.get("/api/v1/jobs", params={"project": "shop"}).json()["total"] == 3
    assert client.get("/api/v1/jobs", params={"project": "none"}).status_code == 404
    assert client.post(f"/api/v1/jobs/{asked[0]}/cancel").json()["status"] == "cancelled"


def test_schedules_are_shown_with_their_next_time(home: Home, client: TestClient) -> None:
    path = home.folder / "shop" / "foreproof.yaml"
    path.write_text(PLAN + 'schedule: {run: "0 5 * * *", zone: Asia/Tokyo}\n', encoding="utf-8")
    (row,) = client.get("/api/v1/schedules").json()["items"]
    assert (row["project"], row["kind"], row["cron"], row["zone"], row["last"]) == (
        "shop", "run", "0 5 * * *", "Asia/Tokyo", None,
    )  # fmt: skip
    at = datetime.fromisoformat(row["next"])
    assert (at.hour, at.minute) == (20, 0)
    assert datetime.now(UTC) < at <= datetime.now(UTC) + timedelta(days=1)


def ended(signal_: int = 0, **outcome: Any) -> Ended:
    return Ended(outcome, 0, signal_, False, 1.0, 2.0)


def test_a_step_that_something_kills_is_begun_again_then_given_up_in_words(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(home.settings.store)
    job = jobs.Job(jobs.new_id(), "local", "shop", "load", {}, datetime.now(UTC).isoformat())
    jobs.submit(store, job)
    one = Slot(home, "test-slot-0", store)
    ends = [ended(9), ended(result={"x": 1})]
    monkeypatch.setattr(slots, "run_child", lambda *_, **__: ends.pop(0))
    assert one.step("local", job.id, "load") == {"name": "load", "status": "done", "result": {"x": 1}}
    told = jobs.events(store, "local", job.id, kinds=("step",))
    assert [(e["status"], e.get("cpu_seconds")) for e in told] == [("running", None), ("running", None), ("done", 4.0)]
    ends += [ended(9)] * 3
    outcome = one.step("local", job.id, "load")
    assert outcome["status"] == "failed"
    assert "signal 9, 3 times" in outcome["error"]["found"]


def test_a_steps_cpu_is_measured_whole_and_its_error_comes_in_words(home: Home) -> None:
    told: list[Any] = []
    before = sum(os.times()[2:4])
    found = run_child(
        (str(home.folder), "local", "nothing", "j", "load", "load", "{}"), said=told.extend, stop=lambda: False
    )
    assert found.outcome["error"]["object"] == "project nothing"
    assert (found.code, found.signal, found.stopped) == (2, 0, False)
    assert found.cpu_seconds == pytest.approx(sum(os.times()[2:4]) - before, rel=0.02, abs=0.02)


def test_an_executor_is_gone_once_nothing_holds_its_lock(home: Home) -> None:
    for name in ("a-slot-0", "a-slot-1", "b-slot-0"):
        Path(slots.lock_of(home, name)).touch()
    with FileLock(slots.lock_of(home, "a-slot-1")):
        assert slots.gone(home, "a-slot-0") == ["b-slot-0"]
    assert slots.gone(home, "a-slot-0") == ["a-slot-1", "b-slot-0"]


def test_a_worker_refuses_settings_that_make_no_sense(home: Home) -> None:
    from foreproof.app.jobs.supervisor import supervise

    for words in ({"slots": 0}, {"slots": 1, "name": "a/b"}):
        with pytest.raises(BadInput):
            supervise(home, **words)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="FOREPROOF_JOBS"):
        supervise(open_home(home.folder, {"FOREPROOF_JOBS": "mysql://x/y"}), slots=1)
