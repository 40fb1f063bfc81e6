"""Jobs as the service keeps them, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foreproof.adapters.service import jobs
from foreproof.adapters.service.migrate import open_store
from foreproof.adapters.service.store import ServiceStore
from foreproof.app.home import Home, open_home
from foreproof.app.jobs.dispatch import Dispatcher
from foreproof.errors import NotFound

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceStore]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'service.db'}"
    else:
        url = f"{request.getfixturevalue('postgres_url')}?schema=jobs_{uuid.uuid4().hex}"
    found = open_store(url)
    yield found
    found.close()


def ask(store: ServiceStore, tenant: str = "a", n: int = 0, kind: str = "load") -> str:
    job = jobs.Job(jobs.new_id(), tenant, "shop", kind, {}, (NOW + timedelta(seconds=n)).isoformat(), by="k")
    assert jobs.submit(store, job)
    assert not jobs.submit(store, job), "the same id again is the same job"
    return job.id


def test_a_job_is_asked_for_once_begins_once_and_ends_once(store: ServiceStore) -> None:
    job = ask(store)
    assert jobs.begin(store, "a", job, NOW).started == NOW.isoformat()
    assert jobs.begin(store, "a", job, NOW + timedelta(hours=1)).started == NOW.isoformat()
    found = jobs.find(store, "a", job)
    assert jobs.end(store, found, "done", at=NOW, result={"x": 1})
    assert not jobs.end(store, found, "failed", at=NOW, error={"y": 2})
    found = jobs.find(store, "a", job)
    assert (found.status, found.result, found.error) == ("done", {"x": 1}, None)
    assert jobs.begin(store, "a", job, NOW).status == "done"


def test_nothing_of_a_job_is_found_by_another_tenant(store: ServiceStore) -> None:
    job = ask(store)
    jobs.say(store, "a", job, NOW, [("log", {"line": "secret"})])
    for call in (jobs.find, jobs.begin, jobs.cancel):
        with pytest.raises(NotFound):
            call(store, "b", job, *([] if call is jobs.find else [NOW]))  # type: ignore[operator]
    assert jobs.events(store, "b", job) == []
    assert jobs.page(store, "b") == ([], 0)
    assert jobs.progress(store, "b", job) is None
    assert not jobs.stopped(store, "b", job)
    assert jobs.find(store, "a", job).status == "queued"


def test_events_are_numbered_without_gaps_whoever_writes_them(store: ServiceStore) -> None:
    job = ask(store)

    def talk(name: str) -> None:
        for i in range(10):
            jobs.say(store, "a", job, NOW, [("log", {"line": f"{name}{i}"}), ("progress", {"stage": name, "done": i})])

    talkers = [threading.Thread(target=talk, args=(name,)) for name in "xy"]
    for one in talkers:
        one.start()
    for one in talkers:
        one.join()
    told = jobs.events(store, "a", job)
    assert [one["n"] for one in told] == list(range(40))
    assert jobs.events(store, "a", job, after=37) == told[38:]
    assert jobs.progress(store, "a", job) == {
        "stage": told[-1].get("stage") or told[-2]["stage"],
        "done": 9,
        "total": None,
    }


def test_a_waiting_job_is_cancelled_at_once_a_running_one_is_asked_to_stop(store: ServiceStore) -> None:
    waits, runs = ask(store), ask(store)
    jobs.begin(store, "a", runs, NOW)
    assert jobs.cancel(store, "a", waits, NOW).status == "cancelled"
    assert jobs.cancel(store, "a", runs, NOW).status == "running"
    assert jobs.stopped(store, "a", runs)
    assert [job.id for job, _ in jobs.waiting(store)] == []
    jobs.end(store, jobs.find(store, "a", runs), "cancelled", at=NOW)
    before = jobs.events(store, "a", runs)
    jobs.cancel(store, "a", runs, NOW)
    assert jobs.events(store, "a", runs) == before, "what has ended is not told of again"


def test_who_asks_for_many_jobs_does_not_hold_up_who_asks_for_one(store: ServiceStore) -> None:
    many = [ask(store, "a", n) for n in range(4)]
    turns = {job.id: turn for job, turn in jobs.waiting(store)}
    jobs.handed(store, list(turns))
    one = [ask(store, "b", n=10 + n) for n in range(2)]
    turns |= {job.id: turn for job, turn in jobs.waiting(store)}
    order = sorted(turns, key=lambda job: (turns[job], [*many, *one].index(job)))
    assert order == [many[0], one[0], many[1], one[1], many[2], many[3]]
    jobs.handed(store, list(turns))
    assert jobs.waiting(store) == []
    # Somebody who comes when turn 3 has begun does not get the turns that are over.
    jobs.begin(store, "a", many[2], NOW)
    late = ask(store, "c")
    assert [(job.id, turn) for job, turn in jobs.waiting(store)] == [(late, turns[many[2]] + 1)]


def test_a_job_that_was_not_handed_on_before_a_kill_keeps_its_turn(store: ServiceStore) -> None:
    ask(store)
    assert jobs.waiting(store) == jobs.waiting(store) != []


def timed(folder: Path, words: str = "0 5 * * *") -> Home:
    (folder / "shop").mkdir(parents=True)
    plan = f'schema: 1\nname: shop\nworkload: forecast\nschedule: {{run: "{words}"}}\n'
    (folder / "shop" / "foreproof.yaml").write_text(plan, encoding="utf-8")
    return open_home(folder, {})


def test_a_schedule_asks_once_for_all_workers_and_what_was_missed_is_not_piled_up(
    store: ServiceStore, tmp_path: Path
) -> None:
    home, clock = timed(tmp_path / "home"), [NOW]
    workers = [Dispatcher(home, store, lambda *_: None, now=lambda: clock[0]) for _ in range(2)]
    assert [one.ask_due() for one in workers] == [0, 0], "a schedule that is new waits for its next time"
    clock[0] = datetime(2024, 6, 2, 5, 0, 1, tzinfo=UTC)
    assert [one.ask_due() for one in workers] == [1, 0]
    clock[0] = datetime(2024, 6, 9, 8, tzinfo=UTC)
    assert workers[0].ask_due() == 0, "the last one has not ended"
    (first,), _ = jobs.page(store, "local")
    jobs.end(store, first, "done", at=clock[0])
    later = Dispatcher(home, store, lambda *_: None, now=lambda: clock[0])
    assert (later.ask_due(), later.ask_due(), workers[1].ask_due()) == (1, 0, 0), (
        "seven were missed, one is made up for"
    )
    found, total = jobs.page(store, "local")
    assert total == 2
    assert {one.due for one in found} == {"2024-06-02T05:00:00+00:00", "2024-06-09T05:00:00+00:00"}
    assert {(one.by, one.kind, one.project) for one in found} == {("schedule", "run", "shop")}


def test_a_broken_plan_stops_no_other_projects_schedule(store: ServiceStore, tmp_path: Path) -> None:
    home, clock, told = timed(tmp_path / "home", "* * * * *"), [NOW], list[str]()
    (home.folder / "broken").mkdir()
    (home.folder / "broken" / "foreproof.yaml").write_text("schedule: {run: never}\n", encoding="utf-8")
    one = Dispatcher(home, store, lambda *_: None, now=lambda: clock[0], told=told.append)
    clock[0] += timedelta(minutes=2)
    assert one.ask_due() == 1
    assert "schedule.run" in told[0]
