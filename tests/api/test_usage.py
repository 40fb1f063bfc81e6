"""Usage: sums are the process's CPU to the nanosecond, steps and threads are measured, prices are those of the table."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import service_home
from foreproof.adapters.service import usage
from foreproof.adapters.service.migrate import open_store
from foreproof.adapters.service.store import ServiceStore
from foreproof.adapters.service.usage import Used, record, summed
from foreproof.app.api.meter import METER, Meter, Till, measured, stepped
from foreproof.app.prices import Prices, Span, as_csv, priced, read_prices
from foreproof.errors import BadInput

NOW = datetime(2026, 11, 5, 13, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> ServiceStore:
    return open_store(f"sqlite:///{tmp_path / 'service.db'}")


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("call"), st.integers(0, 10**9), st.sampled_from(["amber", "birch"])),
            st.tuples(st.just("other"), st.integers(0, 10**9), st.just("")),
            st.tuples(st.just("take"), st.just(0), st.just("")),
        ),
        max_size=30,
    )
)
def test_the_lines_sum_to_the_cpu_of_the_process_to_the_nanosecond(steps: list[tuple[str, int, str]]) -> None:
    clock = [5]
    till, lines = Till(clock=lambda: clock[0]), []
    calls: dict[str, int] = {}
    for what, spent, tenant in steps:
        clock[0] += spent
        if what == "call":
            till.add(tenant, "GET /me", "k", Meter(cpu_ns=spent))
            calls[tenant] = calls.get(tenant, 0) + spent
        elif what == "take":
            lines += till.take(NOW)
    lines += till.take(NOW)
    assert sum(line.cpu_ns for line in lines) == clock[0] - 5
    assert not till.waiting
    for tenant, spent in calls.items():
        assert sum(line.cpu_ns for line in lines if line.tenant == tenant) == spent
    assert all(line.kind == "overhead" for line in lines if line.tenant == "local")


def test_a_running_service_accounts_for_all_cpu_of_its_process(tmp_path: Path) -> None:
    app = service_home.opened(service_home.made(tmp_path / "home"))
    operations = app.state.service.operations
    clock = [0]
    operations.till = Till(clock=lambda: clock[0])
    with service_home.client(app) as client:
        for _ in range(5):
            client.get("/api/v1/me"), client.get("/api/v1/keys")
        clock[0] = 10**12  # more than any call can have taken
        totals = client.get("/api/v1/usage").json()
    assert totals["totals"]["cpu_seconds"] == 1000.0
    rows = {row["name"]: row for row in totals["rows"]}
    assert rows["GET /me"]["calls"] == rows["GET /keys"]["calls"] == 5
    assert 0 < rows["GET /me"]["cpu_seconds"] < 100


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_step_counts_what_it_computes_and_not_what_it_waits_for() -> None:
    async def call() -> str:
        burn(0.02)
        await asyncio.sleep(0.05)
        burn(0.02)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1)
        return "done"

    async def both() -> tuple[Meter, Meter]:
        one, two = Meter(), Meter()
        assert await asyncio.gather(stepped(call(), one), stepped(call(), two)) == ["done", "done"]
        return one, two

    for meter in asyncio.run(both()):
        assert 0.04e9 <= meter.cpu_ns < 0.06e9, "two calls at once each carry their own"


def test_what_a_stepped_call_raises_comes_through_with_its_cost() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        burn(0.005)
        raise KeyError("x")

    meter = Meter()
    with pytest.raises(KeyError):
        asyncio.run(_run(stepped(fails(), meter)))
    assert meter.cpu_ns >= 0.005e9


async def _run(awaitable: Any) -> Any:
    return await awaitable


def test_a_plain_route_is_measured_in_its_own_thread() -> None:
    meter = Meter()
    timed = measured(lambda: burn(0.01))
    assert measured(timed) is timed

    def in_thread() -> None:
        METER.set(meter)
        timed()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert meter.cpu_ns >= 0.01e9


def test_every_plain_route_of_the_service_is_measured() -> None:
    import inspect

    from fastapi.routing import APIRoute

    from foreproof.app.api.routes import routers

    plain = [
        route.endpoint
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute) and not inspect.iscoroutinefunction(route.endpoint)
    ]
    assert plain and all(hasattr(endpoint, "__foreproof_measured__") for endpoint in plain)


LINES = st.lists(
    st.builds(
        Used,
        tenant=st.sampled_from(["amber", "birch"]),
        at=st.integers(0, 80).map(lambda hours: NOW + timedelta(hours=hours)),
        kind=st.sampled_from(["request", "job"]),
        name=st.sampled_from(["GET /a", "train"]),
        key=st.sampled_from(["k", "j"]),
        cpu_ns=st.integers(0, 10**12),
        rows_predicted=st.integers(0, 1000),
    ),
    max_size=12,
)


@given(batches=st.lists(LINES, max_size=3))
def test_sums_are_those_of_the_lines_however_they_are_grouped(batches: list[list[Used]]) -> None:
    store = _fresh()
    for lines in batches:
        record(store, lines)
    everything = [line for lines in batches for line in lines]
    for by in ("call", "day", "tenant"):
        found = summed(store, tenant=None, start=NOW - DAY, end=NOW + 10 * DAY, by=by)  # type: ignore[arg-type]
        for name in ("calls", "cpu_ns", "rows_predicted"):
            assert sum(row[name] for row in found) == sum(getattr(line, name) for line in everything)
    jobs = summed(store, tenant="amber", start=NOW - DAY, end=NOW + 10 * DAY, by="job")
    mine = [line for line in everything if line.tenant == "amber" and line.kind == "job"]
    assert sum(row["cpu_ns"] for row in jobs) == sum(line.cpu_ns for line in mine)


_KEPT: list[ServiceStore] = []


def _fresh() -> ServiceStore:
    """One store for all examples, emptied."""
    if not _KEPT:
        import tempfile

        _KEPT.append(open_store(f"sqlite:///{Path(tempfile.mkdtemp()) / 'service.db'}"))
    with _KEPT[0].writing() as connection:
        connection.exec_driver_sql("DELETE FROM usage")
    return _KEPT[0]


def test_what_lies_there_counts_once_an_hour_and_is_priced_by_the_month(store: ServiceStore) -> None:
    for minutes, size in ((0, 3e9), (5, 2e9), (60, 1e9)):
        at = NOW + timedelta(minutes=minutes)
        record(store, [Used("amber", at, "storage", "folders", calls=0, bytes_stored=int(size))])
    record(store, [Used("amber", NOW, "job", "load", "j1", bytes_stored=500)])
    found = priced(store, Prices(gb_stored_month=7.3), tenant="amber", span=Span(NOW - DAY, NOW + DAY), by="tenant")
    (row,) = found["rows"]
    assert (row["bytes_stored"], row["gb_hours"]) == (500, 4.0)
    assert row["price"] == pytest.approx(0.04)


def test_each_number_has_its_price(tmp_path: Path, store: ServiceStore) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("currency: EUR\ncpu_second: 2\ngb_scanned: 3\nrow_predicted: 0.5\ntokens_in: 0.25\ntokens_out: 4\n")
    prices = read_prices(str(path))
    line = Used("amber", NOW, "request", "GET /a", "k", 1, 1_500_000_000, 2 * 10**9, 0, 4, 8, 1)
    record(store, [line])
    found = priced(store, prices, tenant="amber", span=Span(NOW - DAY, NOW + DAY), by="call")
    assert found["currency"] == "EUR"
    assert found["totals"]["price"] == found["rows"][0]["price"] == 3.0 + 6.0 + 2.0 + 2.0 + 4.0
    text = as_csv(found["rows"])
    assert text.splitlines()[1].startswith("amber,request,GET /a,,,1,1.5,2000000000")
    assert as_csv([]).startswith("tenant,kind,name")
    assert "'=cmd" in as_csv([{"name": "=cmd"}])


@pytest.mark.parametrize(
    "text", ["- 1\n", "cpu: 1\n", "cpu_second: -1\n", "cpu_second: a\n", "currency: 3\n", "a: [\n"]
)
def test_a_table_of_prices_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(BadInput, match="FOREPROOF_PRICES"):
        read_prices(str(tmp_path / "prices.yaml"))
    with pytest.raises(BadInput, match="FOREPROOF_PRICES"):
        read_prices(str(tmp_path / "none.yaml"))


def test_a_span_is_the_last_thirty_days_unless_it_is_said() -> None:
    assert Span.parsed("", "", NOW) == Span(NOW + timedelta(hours=1) - 30 * DAY, NOW + timedelta(hours=1))
    assert Span.parsed("2026-11-01", "2026-11-02T02:00:00+02:00", NOW).end == datetime(2026, 11, 2, tzinfo=UTC)
    for start, end in (("x", ""), ("2026-11-02", "2026-11-01"), ("", "9999-12-31T23:59:59-23:59")):
        with pytest.raises(BadInput):
            Span.parsed(start, end, NOW)


def test_usage_comes_as_a_file_too_and_bad_questions_are_refused(tmp_path: Path) -> None:
    with service_home.client(service_home.opened(service_home.made(tmp_path / "home"))) as client:
        client.get("/api/v1/me")
        answer = client.get("/api/v1/usage?format=csv")
        assert answer.headers["content-type"].startswith("text/csv")
        assert "usage.csv" in answer.headers["content-disposition"]
        assert any(line.startswith("local,request,GET /me,") for line in answer.text.splitlines())
        for query in ("by=year", "from=x", "from=2026-02-02&to=2026-02-01", "format=xml"):
            assert client.get(f"/api/v1/usage?{query}").status_code == 422


def test_counters_of_lines_and_table_are_the_same() -> None:
    from foreproof.adapters.service.tables import USAGE

    assert [column.name for column in USAGE.columns if not column.primary_key] == list(usage.COUNTERS)
