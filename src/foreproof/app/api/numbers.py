"""Prometheus metrics of one application, in a registry of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from foreproof.adapters.service.store import ServiceStore
from foreproof.app.api.published import Shelves
from foreproof.app.home import Home, Place
from foreproof.errors import ForeproofError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PROOF = {"proven": 1.0}


class Numbers:
    """Counters of requests, and gauges that are read when somebody asks."""

    def __init__(self, home: Home, store: ServiceStore, shelves: Shelves) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "foreproof_requests_total",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "foreproof_request_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ("route",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}
        self.registry.register(_Projects(home, shelves))
        self.registry.register(_Jobs(store))

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request that has ended. route: its template, so that there are as many series as routes."""
        counter = self._counters.get((route, method, status))
        if counter is None:
            counter = self._counters[route, method, status] = self._requests.labels(route, method, str(status))
        counter.inc()
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = self._seconds.labels(route)
        times.observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


class _Projects(Collector):
    """Age, proof and log of what every tenant serves, read from the published runs: no engine, no model."""

    def __init__(self, home: Home, shelves: Shelves) -> None:
        self._home = home
        self._shelves = shelves

    def collect(self) -> Iterator[Metric]:
        labels = ("tenant", "project")
        age = GaugeMetricFamily("foreproof_data_age_seconds", "Seconds since the cutoff that is served.", labels=labels)
        proof = GaugeMetricFamily(
            "foreproof_proof_state", "1 a proven run is served, 0 one by override, -1 none.", labels=labels
        )
        leaves = GaugeMetricFamily("foreproof_log_leaves", "Leaves of the log.", labels=labels)
        for tenant in self._home.tenants():
            for place in self._home.places(tenant):
                where = (place.tenant, place.name)
                said = self._served(place)
                proof.add_metric(where, -1.0 if said is None else _PROOF.get(str(said["proof"]), 0.0))
                if said is not None and said["data_age_seconds"] is not None:
                    age.add_metric(where, said["data_age_seconds"])
                if (size := _leaves(place)) is not None:
                    leaves.add_metric(where, size)
        yield from (age, proof, leaves)

    def _served(self, place: Place) -> dict[str, Any] | None:
        try:
            return self._shelves.published(place).provenance(datetime.now(UTC))
        except (ForeproofError, OSError, json.JSONDecodeError, KeyError):
            return None


class _Jobs(Collector):
    """Jobs by status, where the store has a table of them."""

    def __init__(self, store: ServiceStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        found = GaugeMetricFamily("foreproof_jobs", "Jobs by status.", labels=("status",))
        try:
            with self._store.reading() as connection:
                if sa.inspect(connection).has_table("jobs"):
                    query = sa.text("SELECT status, count(*) FROM jobs GROUP BY status")
                    for status, count in connection.execute(query):
                        found.add_metric((str(status),), count)
        except ForeproofError:
            pass
        yield found


def _leaves(place: Place) -> int | None:
    """How many leaves a project's log has; None where there is none that can be read."""
    url = place.environment.get("FOREPROOF_CATALOG") or f"sqlite:///{place.folder / '.foreproof' / 'catalog.db'}"
    query = "SELECT count(*) FROM log_leaves"
    if not url.startswith("sqlite:///"):
        from foreproof.adapters.postgres import postgres_engine

        engine = None
        try:
            engine = postgres_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
            with engine.connect() as connection:
                return int(connection.execute(sa.text(query)).scalar_one())
        except (sa.exc.SQLAlchemyError, ForeproofError):
            return None
        finally:
            if engine is not None:
                engine.dispose()
    path = Path(url.removeprefix("sqlite:///"))
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.Error:
        return None


__all__ = ["CONTENT_TYPE", "Numbers"]
