"""How long a whole proof takes on a million rows: every check beside its planted fault, tier by tier.

`python benchmarks/proof.py --rows 1000000 --json FILE [--quick] [--data DIR]`

forecast: lines sold of Online Retail II as they are, one fact a line, daily money by the first two digits of the product's
code, 14 days ahead, seasonal naive and window mean. propensity: the same lines of known customers (22% have none), customers
x product groups of the largest 12, a purchase within 90 days, logistic. audit: daily prices of us_equities as a stranger's
function of rows, which the structural checks alone judge. Rows beyond what the data hold are repeated under new names.

Parsing is not measured (but for audit, which reads the frame itself), building is: it counts for the check that asks first.
`wall_seconds` of `structural` and `all` are sums over checks, each with its control; `cpu_seconds` of `permutation` are those
of its 999 permutations with the control's. `peak_mb` is of the whole process. Polars has two threads, every other library
one. No peer is measured: no other open tool runs such a proof.

Expected on a quiet machine of two cores: structural in 15 s, everything in 120 s, 1,000 permutations in 20 CPU seconds.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from common import Check, Row, data_dir, expect, measure, parser, print_table, write_json

BENCHMARK, OURS = "proof", "foreproof"
CASES = ("forecast", "propensity", "audit")
QUICK = 50_000
SALES = {
    "happened": "day",
    "known": "same_as_happened",
    "columns": {"customer": "text", "grp": "text", "money": {"type": "decimal", "decimals": 2}},
}
FORECAST = {
    "schema": 1,
    "name": "proof forecast",
    "workload": "forecast",
    "seed": 1,
    "tables": {"lines": SALES},
    "series": {"table": "lines", "by": ["grp"], "value": "money", "every": "1d", "gap": "zero"},
    "horizon": 14,
    "models": ["seasonal_naive", "window_mean"],
    "backtest": {"origins": 3, "every": 28, "calibrations": 2, "examples": 4},
}
CUTOFFS = ("2011-03-31", "2011-05-31", "2011-07-31")


def sales(folder: Path, rows: int, *, known: bool) -> Any:
    """customer, grp, day, money of so many lines; of known customers and the 12 largest groups alone where `known`."""
    import polars as pl

    import retail

    lines = retail.sold(folder).with_columns(
        pl.col("customer").cast(pl.String).fill_null("unknown"), grp=pl.col("sku").str.slice(0, 2)
    )
    if known:
        common = lines.group_by("grp").len().sort(["len", "grp"], descending=[True, False]).head(12)["grp"]
        lines = lines.filter(pl.col("customer") != "unknown", pl.col("grp").is_in(common.implode()))
    lines = lines.select("customer", "grp", "day", pl.col("money").round(2))
    name = "customer" if known else "grp"
    parts = [lines.with_columns(pl.col(name) + f"-{n}") for n in range(-(-rows // lines.height))]
    every = pl.concat(parts)
    return every.sample(rows, seed=1).sort("day", "customer", "grp", "money")


def trial(case: str, folder: Path, rows: int) -> Any:
    """The workload's own pipeline on so many facts."""
    from dataclasses import replace

    import gauntlet
    from forecast import Kept, Silent
    from foreproof.core.plan import plan_of
    from foreproof.core.table import parse
    from foreproof.core.view import Database
    from foreproof.engine.build import builder
    from foreproof.engine.line import Bench
    from foreproof.engine.pairs import pair_builder
    from foreproof.engine.prove import remembered, trial_of
    from foreproof.workloads.forecast import parse_forecast
    from foreproof.workloads.propensity import parse_propensity

    bench = Bench(Kept(), workers=1, progress=Silent())
    frame = sales(folder, rows, known=case == "propensity")
    if case == "forecast":
        plan = parse_forecast(plan_of(FORECAST))
        make = builder(plan, bench)
    else:
        plan = parse_propensity(plan_of({**gauntlet.RETAIL, "tables": {"lines": SALES}}))
        make = pair_builder(plan, bench)
    database = Database({"lines": parse(plan.contracts[0], frame, now=None)})
    cutoffs = gauntlet.moments(plan.task.series.grid, CUTOFFS)
    found = trial_of(plan, database, cutoffs, make)
    if case == "propensity":
        found = replace(found, safe=remembered(pair_builder(plan.under("safe"), bench)))
    return found


def judged(case: str, folder: str, rows: int) -> dict[str, Any]:
    """By check: tier, wall and CPU seconds, outcome, whether its control was caught."""
    import gauntlet
    from foreproof.core.trial import proven
    from foreproof.gauntlet.limits import Proof
    from foreproof.gauntlet.registry import REGISTRY

    given = trial(case, Path(folder), rows)
    found = {}
    for name, one in REGISTRY.items():
        if given.kind not in one.kinds or name in gauntlet.ELSEWHERE:
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        verdict = proven(one.make(Proof(calibration=gauntlet.CALIBRATION)), given)
        spent = (time.perf_counter() - wall, time.process_time() - cpu)
        found[name] = (one.tier, *spent, verdict.outcome, verdict.control_caught)
        print(f"{case} {name}: {spent[0]:.1f} s, {verdict.outcome}", file=sys.stderr, flush=True)
    return found


def audited(folder: str, rows: int) -> dict[str, Any]:
    """The same of a stranger's function of daily prices, its controls included."""
    import polars as pl

    from foreproof.engine.audit import audit
    from foreproof.gauntlet.leaks.zoo_markets import honest

    prices = pl.read_parquet(Path(folder) / "us_equities" / "daily_600.parquet")
    frame = prices.select("symbol", pl.col("date").dt.date().alias("day"), pl.col("close").cast(pl.Float64), factor=1.0)
    parts = [frame.with_columns(pl.col("symbol") + f"-{n}") for n in range(-(-rows // frame.height))]
    frame = pl.concat(parts).sort("symbol", "day").head(rows)  # whole symbols, but the last
    days = frame["day"].unique().sort()
    cutoffs: list[date] = [days[len(days) // 2], days[len(days) * 3 // 4]]
    wall, cpu = time.perf_counter(), time.process_time()
    verdicts = audit(honest, frame, cutoffs, time="day", entity="symbol").verdicts
    spent = (time.perf_counter() - wall, time.process_time() - cpu)
    return {"audit": ("structural", *spent, verdicts[0].outcome, all(one.control_caught for one in verdicts))}


def rows_of(case: str, folder: Path, rows: int) -> list[Row]:
    """One case in a process of its own."""
    if case == "audit":
        done = measure("proof:audited", folder=str(folder), rows=rows)
    else:
        done = measure("proof:judged", case=case, folder=str(folder), rows=rows)
    checks = done.result
    tiers = {"structural": [one for one in checks.values() if one[0] == "structural"], "all": list(checks.values())}
    found = []
    for name, some in tiers.items():
        wall, cpu = (sum(one[at] for one in some) for at in (1, 2))
        found.append(Row(BENCHMARK, f"{case}/{name}", OURS, "wall_seconds", wall, "s", rows))
        found.append(Row(BENCHMARK, f"{case}/{name}", OURS, "cpu_seconds", cpu, "s", rows))
    found.append(Row(BENCHMARK, f"{case}/all", OURS, "peak_mb", done.peak_mb, "MB", rows))
    if "permutation" in checks:
        found.append(Row(BENCHMARK, f"{case}/permutation", OURS, "cpu_seconds", checks["permutation"][2], "s", rows))
    return found


def checks(cases: tuple[str, ...]) -> list[Check]:
    """What is expected of each case."""
    wanted = [Check(f"{case}/structural", "wall_seconds", high=15.0) for case in cases]
    wanted += [Check(f"{case}/all", "wall_seconds", high=120.0) for case in cases]
    return wanted + [Check(f"{case}/permutation", "cpu_seconds", high=20.0) for case in cases if case != "audit"]


def main() -> int:
    """Measure, print, compare."""
    arguments = parser(__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    arguments.add_argument("--rows", type=int, help="facts of each case")
    arguments.add_argument("--cases", default=",".join(CASES), help=f"some of {','.join(CASES)}")
    options = arguments.parse_args()
    folder = data_dir(options)
    count = options.rows or (QUICK if options.quick else 1_000_000)
    cases = tuple(name for name in options.cases.split(",") if name)
    if unknown := [name for name in cases if name not in CASES]:
        arguments.error(f"--cases: {unknown[0]}; wanted some of {','.join(CASES)}")
    os.environ["POLARS_MAX_THREADS"] = "2"
    rows = [row for case in cases for row in rows_of(case, folder, count)]
    print_table(rows)
    write_json(rows, options.json)
    return expect(rows, checks(cases))


if __name__ == "__main__":
    sys.exit(main())
