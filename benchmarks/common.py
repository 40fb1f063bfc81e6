"""What every benchmark shares: rows, one table, measuring in a fresh process, and comparing with what is expected.

A benchmark prints one table and writes a JSON list of flat rows:
`{"benchmark": "forecast", "case": "m4_hourly", "who": "foreproof", "metric": "owa", "value": 0.43, "unit": "ratio", "n": 414}`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Each library gets one thread unless the environment says otherwise: CPU seconds then mean work, not waiting."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one benchmark; `n` is how many rows, series or requests it rests on."""

    benchmark: str
    case: str
    who: str
    metric: str
    value: float
    unit: str
    n: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What a call cost in a fresh process, and what it returned. What the call itself imports counts, its module's do not.

    peak_mb: the largest resident memory of the process, interpreter and libraries included; NaN where nobody can tell.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    result: Any

    def rows(self, benchmark: str, case: str, who: str, *, n: int) -> list[Row]:
        """The three costs as rows."""
        costs = (
            ("cpu_seconds", self.cpu_seconds, "s"),
            ("wall_seconds", self.wall_seconds, "s"),
            ("peak_mb", self.peak_mb, "MB"),
        )
        return [Row(benchmark, case, who, metric, value, unit, n) for metric, value, unit in costs]


@dataclass(frozen=True, slots=True)
class Check:
    """What is expected of one figure: value <= high, or value >= low. A figure that is missing falls short."""

    case: str
    metric: str
    high: float = math.inf
    low: float = -math.inf
    who: str = "foreproof"


class CaseFailed(Exception):
    """A measured call failed; the message is the end of its error output."""


def measure(target: str, /, **arguments: Any) -> Measured:
    """Call `module:function` of this folder with JSON arguments in a fresh process and measure the call.

    Raises CaseFailed where the call fails.
    """
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    environment = {**dict.fromkeys(THREADS, "1"), **os.environ, "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        command = [sys.executable, str(HERE / "common.py"), target, json.dumps(arguments), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CaseFailed(f"{target} {arguments}: exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
        return Measured(**json.loads(out.read_text(encoding="utf-8")))


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--json", type=Path, help="where to write the rows")
    arguments.add_argument("--quick", action="store_true", help="a short run: smaller data, the same cases")
    arguments.add_argument("--data", type=Path, help="folder of the data (FOREPROOF_DATA, else ../shared/data)")
    return arguments


def data_dir(arguments: argparse.Namespace) -> Path:
    """The folder of the data; ends the program in words where it is not there."""
    folder = Path(arguments.data or os.environ.get("FOREPROOF_DATA") or HERE.parent.parent / "shared" / "data")
    if not folder.is_dir():
        print(f"data: no folder {folder}; put the data there or name it with --data (see docs/benchmarks.md)")
        raise SystemExit(2)
    return folder


def print_table(rows: Iterable[Row]) -> None:
    """One line for each case and who, one column for each metric."""
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    metrics = list(dict.fromkeys((row.metric, row.unit) for row in rows))
    table = Table("case", "who", "n")
    for metric, unit in metrics:
        table.add_column(f"{metric} ({unit})", justify="right")
    figures = {(row.case, row.who, row.metric, row.unit): row.value for row in rows}
    for case, who, n in dict.fromkeys((row.case, row.who, row.n) for row in rows):
        cells = [figures.get((case, who, metric, unit)) for metric, unit in metrics]
        table.add_row(case, who, f"{n:,}", *map(_text, cells))
    Console(width=max(100, 24 * (len(metrics) + 2)) if not sys.stdout.isatty() else None).print(table)


def write_json(rows: Iterable[Row], path: Path | None) -> None:
    """The rows as a JSON list; a figure that is not a number becomes null. Without a path nothing is written."""
    if path is None:
        return
    flat = [{**asdict(row), "value": row.value if math.isfinite(row.value) else None} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(flat, indent=1) + "\n", encoding="utf-8")
    print(f"{len(flat)} rows written to {path}")


def expect(rows: Iterable[Row], checks: Sequence[Check]) -> int:
    """Print how the figures compare with what is expected; the exit code is 1 where one falls short."""
    figures = {(row.case, row.who, row.metric): row.value for row in rows}
    short = 0
    for check in checks:
        value = figures.get((check.case, check.who, check.metric), math.nan)
        fine = check.low <= value <= check.high
        short += not fine
        wanted = f"at most {check.high:g}" if check.high < math.inf else f"at least {check.low:g}"
        print(f"{'ok   ' if fine else 'SHORT'} {check.case} {check.who} {check.metric} {value:.4g}, wanted {wanted}")
    print(f"{len(checks) - short} of {len(checks)} as expected")
    return 1 if short else 0


def _text(value: float | None) -> str:
    """Four digits, and all of those before the point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _child(target: str, arguments: str, out: str) -> None:
    """The measured process: import, call, write down what it cost."""
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    cpu, wall = _cpu_seconds(), time.perf_counter()
    result = function(**json.loads(arguments))
    cost = {"cpu_seconds": _cpu_seconds() - cpu, "wall_seconds": time.perf_counter() - wall, "peak_mb": _peak_mb()}
    Path(out).write_text(json.dumps({**cost, "result": result}), encoding="utf-8")


def _cpu_seconds() -> float:
    """CPU seconds of this process with its threads, and of the processes that it waited for."""
    try:
        import resource
    except ImportError:
        return time.process_time()
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def part(
    words: str, rows: Callable[..., Iterable[Mapping[str, Any]]], checks: Callable[[list[Row]], list[Check]]
) -> int:
    """A part of a benchmark on its own: print the table; 1 where something falls short. words: what it says of itself."""
    arguments = parser(words).parse_args()
    found = [Row(**row) for row in rows(quick=arguments.quick)]
    print_table(found)
    write_json(found, arguments.json)
    return expect(found, checks(found))


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands ru_maxrss on to a new program from the one that started it; VmHWM is this program's own.
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


if __name__ == "__main__":
    _child(*sys.argv[1:4])
