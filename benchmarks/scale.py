"""Many series on one machine: CPU seconds, wall seconds and peak memory of forecasting them chunk by chunk.

`python benchmarks/scale.py --series 10000,100000 --json FILE [--points 100] [--chunk 1000] [--workers 2] [--quick]`

The series are made (seeded: level, trend, season of 12, noise) and loaded into a lake first, a million rows a batch, which
is not measured. Then the installed program's `scale` forecasts 12 steps with quantiles from the lake, in a process tree whose
memory is sampled: the sum over all its processes of what each alone holds and its share of what they share. statsforecast's
seasonal naive and drift, points and their own 90% intervals only, stand beside it, with as many processes and from a frame
that is already in memory. The last block: 10 times the series cost at most 10.5 times the CPU seconds, and memory stays below
2 GB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import THREADS, Check, Row, expect, parser, print_table, write_json

BENCHMARK, OURS, HORIZON, SEASON = "scale", "foreproof", 12, 12
PROGRAM = "from foreproof.app.cli import main; main()"
PLAN = f"""
schema: 1
name: scale
workload: forecast
tables:
  facts:
    key: [series, step]
    happened: {{column: step, period: integer}}
    known: same_as_happened
    columns: {{series: text, y: {{type: real, low: 0}}}}
series: {{table: facts, by: [series], value: y, every: integer, aggregate: last, gap: missing}}
horizon: {HORIZON}
season: {SEASON}
levels: [0.05, 0.25, 0.5, 0.75, 0.95]
models: [seasonal_naive, window_mean, drift]
backtest: {{origins: 1, every: {HORIZON}, calibrations: 3, examples: 1}}
"""


def series(first: int, count: int, points: int) -> Any:
    """Columns series, step, y of `count` series, each the same whatever the others are."""
    import numpy as np
    import polars as pl

    steps = np.arange(points)
    values = []
    for i in range(first, first + count):
        rng = np.random.default_rng(i)
        level, slope, season = rng.gamma(4, 25), rng.normal(0, 0.2), rng.normal(0, 0.2, SEASON)
        y = (level + slope * steps) * (1 + season[steps % SEASON]) + rng.normal(0, 0.1 * level, points)
        values.append(np.maximum(y, 0.0))
    names = [f"s{i:07d}" for i in range(first, first + count)]
    return pl.DataFrame(
        {"series": np.repeat(names, points), "step": np.tile(steps, count), "y": np.concatenate(values)}
    )


def prepare(folder: Path, count: int, points: int) -> None:
    """A project whose lake holds the series."""
    from foreproof.adapters.lake import Lake
    from foreproof.core.contract import parse_contract
    from foreproof.core.plan import parse_plan
    from foreproof.core.table import parse

    (folder / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    contract = parse_contract("facts", parse_plan(PLAN).root().section("tables").section("facts"))
    lake = Lake(str(folder / ".foreproof" / "lake"), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    batch = max(1, 1_000_000 // points)
    for first in range(0, count, batch):
        lake.load(parse(contract, series(first, min(batch, count - first), points), now=None))


def peer(count: int, points: int, workers: int) -> None:
    """The same members by statsforecast on a frame in memory, with the intervals of its own that they have."""
    from statsforecast import StatsForecast
    from statsforecast.models import RandomWalkWithDrift, SeasonalNaive

    frame = series(0, count, points).rename({"series": "unique_id", "step": "ds"})
    models = [SeasonalNaive(season_length=SEASON), RandomWalkWithDrift()]
    StatsForecast(models=models, freq=1, n_jobs=workers).forecast(df=frame, h=HORIZON, level=[90])


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process tree took."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def watched(command: list[str]) -> Cost:
    """Run a command, sampling its tree's memory; ends the program where the command fails."""
    # Two processes of one thread each; a library's own pools would fight for the same two cores.
    environment = {**os.environ, **{name: os.environ.get(name, "1") for name in THREADS}}
    before, start = _children_cpu(), time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak, over = [0.0], threading.Event()

    def sample() -> None:
        while not over.wait(0.1):
            peak[0] = max(peak[0], _tree_mb(process.pid))

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    said, _ = process.communicate()
    over.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ended with {process.returncode}:\n{said}")
    return Cost(_children_cpu() - before, time.perf_counter() - start, peak[0])


def _children_cpu() -> float:
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _tree_mb(pid: int) -> float:
    """Proportional memory (PSS) of a process and all below it; one that ends meanwhile counts as nothing."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
            for line in Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) / 1024
        except OSError:
            continue
    return total


def rows_of(case: str, who: str, cost: Cost, n: int) -> list[Row]:
    """One row a figure."""
    figures = (
        ("cpu_seconds", cost.cpu_seconds, "s"),
        ("wall_seconds", cost.wall_seconds, "s"),
        ("peak_mb", cost.peak_mb, "MB"),
    )
    return [Row(BENCHMARK, case, who, metric, value, unit, n) for metric, value, unit in figures]


def measured(count: int, options: Any) -> list[Row]:
    """Ours and the peer's on so many series."""
    from importlib import metadata

    case = f"series_{count}"
    here = str(Path(__file__).resolve())
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, here, "--prepare", name, str(count), str(options.points)], check=True)
        os.environ["FOREPROOF_WORKERS"] = str(options.workers)
        ours = watched(
            [sys.executable, "-c", PROGRAM, "scale", "--no-proof", "--chunk", str(options.chunk), "-C", name]
        )
    theirs = watched([sys.executable, here, "--peer", str(count), str(options.points), str(options.workers)])
    who = f"statsforecast.SeasonalNaive+Drift {metadata.version('statsforecast')}"
    return [*rows_of(case, OURS, ours, count), *rows_of(case, who, theirs, count)]


def main() -> int:
    """Measure, print, compare."""
    if sys.argv[1:2] == ["--prepare"]:
        prepare(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return 0
    if sys.argv[1:2] == ["--peer"]:
        peer(*map(int, sys.argv[2:5]))
        return 0
    arguments = parser(__doc__ or "")
    arguments.add_argument("--series", default="10000,100000", help="how many series, smallest first")
    arguments.add_argument("--points", type=int, default=100)
    arguments.add_argument("--chunk", type=int, default=1000)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    counts = [200, 400] if options.quick else [int(text) for text in options.series.split(",")]
    rows: list[Row] = []
    for count in counts:
        rows += measured(count, options)
    print_table(rows)
    write_json(rows, options.json)
    return expect([*rows, *growth(rows, counts)], checks(counts))


def growth(rows: list[Row], counts: list[int]) -> list[Row]:
    """How many times the first case's CPU seconds each later one took, over how many times the series."""
    cpu = {row.n: row.value for row in rows if row.who == OURS and row.metric == "cpu_seconds"}
    first = counts[0]
    return [
        Row(BENCHMARK, f"series_{n}", OURS, "growth", cpu[n] / cpu[first] / (n / first), "ratio", n) for n in counts[1:]
    ]


def checks(counts: list[int]) -> list[Check]:
    """At most 10.5 times the CPU seconds for 10 times the series, and less than 2 GB."""
    grown = [Check(f"series_{n}", "growth", high=1.05) for n in counts[1:]]
    return [*grown, *(Check(f"series_{n}", "peak_mb", high=2048) for n in counts)]


if __name__ == "__main__":
    sys.exit(main())
