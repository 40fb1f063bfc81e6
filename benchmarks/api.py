"""The service over HTTP on loopback: reads, reads behind the gate, one score, ten thousand orders, and its start.

Real server processes and wrk. A small home (a forecast and a propensity of made-up sales) is made and run first; `--home DIR`
measures on one that is there. The peer is an empty FastAPI route under the same server with the same options, in the same run.
Idle machine: server and wrk share it.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from common import THREADS, Check, Row, expect, parser, print_table, write_json

BENCHMARK, OURS, PREFIX = "api", "foreproof", "/api/v1"
EMPTY = f"fastapi.empty {metadata.version('fastapi')}"
CONNECTIONS, ITEMS = 8, 10_000
SECRET = secrets.token_hex(32)
"""With what this run's keys are hashed; gone with it."""
LEVELS = ("0.1", "0.25", "0.5", "0.75", "0.9")
LIBRARIES = (
    "sklearn",
    "scipy",
    "lightgbm",
    "statsforecast",
    "mlforecast",
    "pandas",
    "torch",
    "shap",
    "mlflow",
    "numba",
)
FORECAST = """
schema: 1
name: sales
workload: forecast
seed: 3
sources: {sales: {url: sales.csv}}
tables:
  sales:
    key: [item, date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns: {item: text, units: {type: decimal, decimals: 0, low: 0, unit: units a day}}
series: {table: sales, by: [item], value: units, every: 1d, gap: zero}
horizon: 28
models: [seasonal_naive, theta]
backtest: {origins: 2, calibrations: 2, every: 28, examples: 2}
decision: {cover: 7, short: 2.0, over: 1.0, currency: euros}
"""
PROPENSITY = """
schema: 1
name: calls
workload: propensity
seed: 3
sources: {lines: {url: lines.csv}}
tables:
  lines:
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns: {customer: text, kind: text, amount: {type: decimal, decimals: 2, low: 0, unit: euros}}
pairs: {table: lines, account: customer, group: kind, value: amount, active: 90, owned: 90}
horizon: 28
models: [logistic, boost]
features: default
backtest: {origins: 2, calibrations: 2, examples: 2}
list: {top: 0.1}
"""


# A home --------------------------------------------------------------------------------------------------------------


def make_home(folder: Path) -> Path:
    """`sales` and `calls`, run whole and served: proven, or overridden in the name of this benchmark."""
    drawn, start = random.Random(5), date(2024, 1, 1)
    sales = [
        f"item {i},{start + timedelta(days=d)},{20 + 8 * i + 3 * (d % 7) + drawn.randrange(9)}"
        for i in range(20)
        for d in range(280)
    ]
    lines = []
    for c in range(150):
        often, taste = drawn.uniform(0.02, 0.2), [drawn.random() ** 2 for _ in range(4)]
        for d in range(420):
            if drawn.random() < often:
                day = start + timedelta(days=d)
                lines += [
                    f"c{c:03d},kind {k},{day},{drawn.uniform(1, 20):.2f}" for k in range(4) if drawn.random() < taste[k]
                ]
    _project(folder / "sales", FORECAST, "sales.csv", ["item,date,units", *sales])
    _project(folder / "calls", PROPENSITY, "lines.csv", ["customer,kind,date,amount", *lines])
    return folder


def _project(folder: Path, plan: str, name: str, lines: Sequence[str]) -> None:
    from foreproof.app.progress import Silent
    from foreproof.app.project import open_project
    from foreproof.app.runner import execute
    from foreproof.app.serving import override

    folder.mkdir(parents=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    project = open_project(folder)
    outcome = execute(project, progress=Silent(), tag="benchmark")
    if outcome.error is not None:
        raise outcome.error
    if outcome.run.status != "proven":
        # Made-up sales are there to be read, not believed.
        override(project, outcome.run.id, name="benchmark", reason="made-up sales, to measure how fast they are read")


# Servers -------------------------------------------------------------------------------------------------------------


class Server:
    """A server process that answers on a port of its own."""

    def __init__(self, words: Sequence[str], port: int, ready: str, **settings: str) -> None:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
        # As on a user's machine: Python keeps what it compiled.
        own = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
        environment = {**dict.fromkeys(THREADS, "1"), **os.environ, **own, **settings}
        began = time.perf_counter()
        self.port = port
        self.process = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)
        while not self._answers(ready):
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit(f"{' '.join(words)}: no answer on port {port}")
            time.sleep(0.005)
        self.start_seconds = time.perf_counter() - began
        self.start_mb = self.memory()

    def _answers(self, path: str) -> bool:
        try:
            return self.ask("GET", path)[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body or None, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def memory(self) -> float:
        """Megabytes resident now; NaN where nobody can tell."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmRSS:\s+(\d+)", status.read_text(encoding="ascii")) if status.exists() else None
        return int(found[1]) / 1024 if found else math.nan

    def libraries(self) -> float:
        """How many model libraries the process has mapped; NaN where nobody can tell."""
        maps = Path(f"/proc/{self.process.pid}/maps")
        if not maps.exists():
            return math.nan
        text = maps.read_text(encoding="utf-8", errors="replace")
        return float(sum(f"/{name}/" in text for name in LIBRARIES))

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


@contextmanager
def serving(home: Path, port: int, store: Path, **settings: str) -> Iterator[Server]:
    """`foreproof serve` on a home, with the service's own store elsewhere: a key that is made here closes nobody's home."""
    words = ["-m", "foreproof.app.start", "serve", str(home), "--port", str(port)]
    # As many as come: what is measured is what is answered, and a read is faster than the limit of a key.
    free = {"FOREPROOF_RATE": "1000000", "FOREPROOF_BURST": "1000000"}
    own = {"FOREPROOF_SERVICE": f"sqlite:///{store / 'service.db'}", "FOREPROOF_KEY_SECRET": SECRET, **free}
    server = Server(words, port, "/health/ready", **own, **settings)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def empty(port: int) -> Iterator[Server]:
    """A FastAPI application with one route that answers an empty object, under the options of `foreproof serve`."""
    server = Server([__file__, "--empty", str(port)], port, "/")
    try:
        yield server
    finally:
        server.stop()


def serve_empty(port: int) -> None:
    """The peer's process."""
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    async def nothing() -> dict[str, str]:
        return {}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, server_header=False)


# Measuring -----------------------------------------------------------------------------------------------------------


def wrk(port: int, path: str, seconds: int, **headers: str) -> dict[str, float]:
    """Requests a second and latencies at 8 connections. Ends the program where an answer was not 2xx."""
    url = f"http://127.0.0.1:{port}{path}"
    words = [f"-H{name}: {value}" for name, value in headers.items()]
    base = ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", *words]
    subprocess.run([*base, "-d1s", url], capture_output=True, check=True)  # warm
    said = subprocess.run([*base, f"-d{seconds}s", url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(f"{url}: answers that are no success\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    count = re.search(r"(\d+) requests in", said)
    if rate is None or count is None:
        raise SystemExit(f"wrk said nothing of use:\n{said}")
    return {
        "requests_per_second": float(rate[1]),
        "p50_ms": _milliseconds(said, "50%"),
        "p99_ms": _milliseconds(said, "99%"),
        "n": float(count[1]),
    }


def _milliseconds(said: str, share: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s)\b", said)
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]] if found else math.nan


def timed(port: int, path: str, bodies: Sequence[str]) -> list[float]:
    """Milliseconds of each POST on one connection that is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found = []
    for body in bodies:
        began = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        found.append(1e3 * (time.perf_counter() - began))
        if answer.status != 200:
            raise SystemExit(f"POST {path}: {answer.status} {content[:500]!r}")
    connection.close()
    return found


def load_rows(case: str, who: str, found: dict[str, float]) -> list[Row]:
    """What wrk said, as rows."""
    n = int(found["n"])
    return [
        Row(BENCHMARK, case, who, "requests_per_second", found["requests_per_second"], "1/s", n),
        Row(BENCHMARK, case, who, "p50_ms", found["p50_ms"], "ms", n),
        Row(BENCHMARK, case, who, "p99_ms", found["p99_ms"], "ms", n),
    ]


def latency_rows(case: str, found: Sequence[float]) -> list[Row]:
    """Latencies of single requests, as rows."""
    ordered = sorted(found)
    last = ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]
    return [
        Row(BENCHMARK, case, OURS, "p50_ms", statistics.median(ordered), "ms", len(ordered)),
        Row(BENCHMARK, case, OURS, "p99_ms", last, "ms", len(ordered)),
    ]


def reads(home: Path, port: int, store: Path, seconds: int) -> list[Row]:
    """The empty route, a published read, and the same behind key, tenant check, rate limit and metrics."""
    with empty(port) as server:
        nothing = wrk(server.port, "/", seconds)
    rows = load_rows("empty_route", EMPTY, nothing)
    series = _series(home)
    path = f"{PREFIX}/forecasts/{quote(series, safe='')}?levels=0.1,0.5,0.9"
    with serving(home, port + 1, store) as server:
        if server.ask("GET", path)[0] != 200:
            path = f"{PREFIX}/decisions/curve?series={quote(series)}"
        found = wrk(server.port, path, seconds)
        share = found["requests_per_second"] / nothing["requests_per_second"]
        rows += load_rows("published_read", OURS, found)
        rows.append(Row(BENCHMARK, "published_read", OURS, "share_of_empty", share, "ratio", int(found["n"])))
        status, body = server.ask("POST", f"{PREFIX}/keys", json.dumps({"name": "benchmark", "role": "reader"}))
    if status != 201:
        print(f"no key was made ({status}): the read behind the gate is not measured")
        return rows
    key = str(json.loads(body)["key"])
    limits = {"FOREPROOF_AUTH": "keys"}
    with serving(home, port + 2, store, **limits) as server:
        rows += load_rows("gated_read", OURS, wrk(server.port, path, seconds, Authorization=f"Bearer {key}"))
    return rows


def computes(home: Path, port: int, store: Path, count: int) -> list[Row]:
    """One score after the other, and ten thousand orders in one batch."""
    pairs = _pairs(home, count)
    drawn = random.Random(7)
    items = []
    for i in range(ITEMS):
        values = sorted(drawn.uniform(5, 80) for _ in LEVELS)
        terms = {"short": 1 + i % 5, "over": 1, "on_hand": i % 7, "pack": 1 + i % 6}
        items.append({"id": f"item {i}", "quantiles": dict(zip(LEVELS, values, strict=True)), **terms})
    batch = json.dumps({"items": items})
    with serving(home, port, store) as server:
        bodies = [json.dumps({"account": account, "group": group}) for account, group in pairs]
        timed(server.port, f"{PREFIX}/propensity/score", bodies[:5])  # warm: the first one opens the models
        rows = latency_rows("propensity_score", timed(server.port, f"{PREFIX}/propensity/score", bodies))
        timed(server.port, f"{PREFIX}/decisions/recommend_qty", [batch])
        took = timed(server.port, f"{PREFIX}/decisions/recommend_qty", [batch] * 7)
    return [*rows, Row(BENCHMARK, "recommend_qty_10000", OURS, "p50_ms", statistics.median(took), "ms", ITEMS)]


def starts(home: Path, port: int, store: Path, times: int) -> list[Row]:
    """From nothing to ready, and what is in memory then; model libraries after a first read."""
    seconds, memory, libraries = [], [], math.nan
    for each in range(times):
        with serving(home, port + each, store) as server:
            seconds.append(server.start_seconds)
            memory.append(server.start_mb)
            server.ask("GET", f"{PREFIX}/decisions/curve?series={quote(_series(home))}")
            libraries = server.libraries()
    figures = (
        ("wall_seconds", statistics.median(seconds), "s"),
        ("peak_mb", max(memory), "MB"),
        ("model_libraries", libraries, "count"),
    )
    return [Row(BENCHMARK, "start", OURS, metric, value, unit, times) for metric, value, unit in figures]


def _tables(home: Path, name: str) -> Iterator[Path]:
    for pointer in sorted(home.glob("*/served/current.json")):
        run = json.loads(pointer.read_text(encoding="utf-8"))["run"]
        if (path := pointer.parent / run / "tables" / f"{name}.parquet").is_file():
            yield path


def _series(home: Path) -> str:
    """The first series of the first published forecast."""
    import polars as pl

    frame = pl.read_parquet(next(_tables(home, "orders")))
    return " / ".join(str(frame[name][0]) for name in frame.columns[: frame.columns.index("cutoff")])


def _pairs(home: Path, count: int) -> list[tuple[str, str]]:
    """Pairs of the first published propensity, spread over all of them."""
    import polars as pl

    path = next(path for path in _tables(home, "features") if (path.parent / "chances.parquet").is_file())
    frame = pl.read_parquet(path)
    rows = frame.select(frame.columns[:2]).sample(min(count, frame.height), seed=1)
    return [(str(account), str(group)) for account, group in rows.iter_rows()]


EXPECTED = (
    Check("published_read", "share_of_empty", low=0.6),
    Check("published_read", "p99_ms", high=10.0),
    Check("gated_read", "requests_per_second", low=1500.0),
    Check("propensity_score", "p99_ms", high=5.0),
    Check("recommend_qty_10000", "p50_ms", high=300.0),
    Check("start", "wall_seconds", high=2.0),
    Check("start", "peak_mb", high=200.0),
    Check("start", "model_libraries", high=0.0),
)


def main() -> int:
    """Measure, print, compare."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--home", type=Path, help="a home that is served already, instead of a made-up one")
    arguments.add_argument("--port", type=int, default=18700, help="the first of the ports that are used")
    options = arguments.parse_args()
    if shutil.which("wrk") is None:
        print("wrk: not found; install it first (Debian: apt-get install wrk)")
        return 2
    seconds, count, times = (3, 200, 3) if options.quick else (15, 2000, 5)
    with tempfile.TemporaryDirectory() as name:
        home = options.home or make_home(Path(name) / "home")
        stores = [Path(name) / word for word in ("keyed", "open")]
        rows = reads(home, options.port, stores[0], seconds)
        # Without a key: a store of its own, in which none was made.
        rows += computes(home, options.port + 3, stores[1], count)
        rows += starts(home, options.port + 4, stores[1], times)
    print_table(rows)
    write_json(rows, options.json)
    return expect(rows, EXPECTED)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--empty"]:
        serve_empty(int(sys.argv[2]))
    else:
        sys.exit(main())
