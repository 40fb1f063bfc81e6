"""Which check catches which leak: every leak of the zoo planted into honest pipelines on real data, beside clean variants.

`python benchmarks/gauntlet.py --json FILE [--sets retail,tourism,us_equities] [--seeds 10] [--clean 34] [--quick] [--data DIR]`

retail: Online Retail II, accounts x product groups (the first two digits of the code), a purchase within 90 days; features of
the workload, members `logistic` alone. tourism: quarterly trips by region and purpose, the horizon of a year. us_equities:
market pipelines as strangers' functions of rows, through an audit. A seed is a sample of accounts, series or symbols; a clean
variant is the honest pipeline on a sample of its own. `--quick`: retail, 2 seeds, 4 clean variants.

The checks are those of the registry at run time, less those that judge how good a prediction is and not how honest. A leak
is caught where one check of a suite rings. Suites: `structural` (exact), `statistical` (Holm over its p values at 5%, and what
has none by its own limit), `all`, and `classic` (permutation, shift grid, SAFE ablation, overlap of entities), which is what
people usually run; a classic check that is not there is left out, and the head of the output says so. `low` and `high` are
exact 95% intervals (Clopper-Pearson). `who` is `control.LEAK`, or `clean` for the honest pipelines.

The last block expects every leak that is listed as caught by an exact check to be caught in 95% of its runs, structural false
alarms of at most 1%, statistical ones of at most 5%, and the classic set below ours.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

import retail
from common import Check, Row, data_dir, expect, parser, write_json
from forecast import Kept, Silent
from foreproof.core.clock import Moment
from foreproof.core.compare import clopper_pearson
from foreproof.core.grid import parse_moment
from foreproof.core.plan import plan_of
from foreproof.core.table import parse
from foreproof.core.trial import Trial, Verdict
from foreproof.core.view import Database
from foreproof.engine.audit import audit
from foreproof.engine.build import builder
from foreproof.engine.line import Bench
from foreproof.engine.pairs import pair_builder
from foreproof.engine.prove import trial_of
from foreproof.gauntlet.leaks.zoo import ZOO, plantable
from foreproof.gauntlet.leaks.zoo_markets import MARKETS, honest
from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.registry import REGISTRY
from foreproof.workloads.forecast import parse_forecast
from foreproof.workloads.propensity import parse_propensity

BENCHMARK, CLEAN = "gauntlet", "clean"
SETS = ("retail", "tourism", "us_equities")
QUALITY = ("beats the baseline", "beats the base rate", "coverage", "calibration")
"""They ask how good a prediction is: a weak honest pipeline fails them, and says nothing of a leak."""
ELSEWHERE = ("repetition", "serving")
"""They need a process of their own, or a second path: no leak of the zoo is about either."""
CLASSIC = ("permutation", "shift grid", "safe ablation", "overlap")
SUITES = ("structural", "statistical", "all", "classic")
ALPHA = 0.05

Run = tuple[str, str, list[Verdict]]
"""A data set, who (a leak or CLEAN), and what each check said."""

RETAIL = {
    "schema": 1,
    "name": "gauntlet retail",
    "workload": "propensity",
    "seed": 1,
    "tables": {
        "lines": {
            "key": ["customer", "grp", "day"],
            "happened": "day",
            "known": "same_as_happened",
            "columns": {"customer": "text", "grp": "text", "money": {"type": "decimal", "decimals": 2}},
        }
    },
    "pairs": {"table": "lines", "account": "customer", "group": "grp", "value": "money", "active": 365, "owned": 365},
    "horizon": 90,
    "models": ["logistic"],
    "backtest": {"origins": 2, "every": 60, "calibrations": 2, "examples": 3, "stride": 60},
}
TOURISM = {
    "schema": 1,
    "name": "gauntlet tourism",
    "workload": "forecast",
    "seed": 1,
    "tables": {
        "trips": {
            "key": ["region", "purpose", "quarter"],
            "happened": {"column": "quarter", "period": "1q"},
            "known": "same_as_happened",
            "columns": {"region": "text", "purpose": "text", "trips": {"type": "decimal", "decimals": 3, "low": 0}},
        }
    },
    "series": {"table": "trips", "by": ["region", "purpose"], "value": "trips", "every": "1q"},
    "horizon": 4,
    "models": ["seasonal_naive", "window_mean"],
    "backtest": {"origins": 3, "every": 4},
}


# --- pipelines on samples -----------------------------------------------------------------------------------------------


def retail_trial(lines: pl.DataFrame, seed: int, *, accounts: int) -> Trial:
    """The propensity workload on a sample of accounts, at three cutoffs."""
    names = lines["customer"].unique().sort().sample(accounts, seed=seed)
    plan = parse_propensity(plan_of({**RETAIL, "seed": seed}))
    rows = lines.filter(pl.col("customer").is_in(names.implode()))
    database = Database({"lines": parse(plan.contracts[0], rows, now=None)})
    cutoffs = moments(plan.task.series.grid, ("2011-03-31", "2011-05-31", "2011-07-31"))
    return trial_of(plan, database, cutoffs, pair_builder(plan, Bench(Kept(), workers=1, progress=Silent())))


def tourism_trial(trips: pl.DataFrame, seed: int, *, series: int) -> Trial:
    """The forecast workload on a sample of series, at three cutoffs."""
    keys = trips.select("region", "purpose").unique().sort("region", "purpose").sample(series, seed=seed)
    plan = parse_forecast(plan_of({**TOURISM, "seed": seed}))
    rows = trips.join(keys, on=["region", "purpose"], how="semi")
    database = Database({"trips": parse(plan.contracts[0], rows, now=None)})
    cutoffs = moments(plan.task.series.grid, ("2012-12-31", "2013-12-31", "2014-12-31"))
    return trial_of(plan, database, cutoffs, builder(plan, Bench(Kept(), workers=1, progress=Silent())))


def moments(grid: object, days: Sequence[str]) -> tuple[Moment, ...]:
    """The grid points of some days."""
    return tuple(grid.add(parse_moment(day, grid, subject="cutoff"), 0) for day in days)  # type: ignore[attr-defined,arg-type]


def retail_lines(folder: Path) -> pl.DataFrame:
    """customer, grp, day, money: one row a customer, group and day."""
    known = (
        retail.sold(folder)
        .filter(pl.col("customer").is_not_null())
        .with_columns(pl.col("customer").cast(pl.String), grp=pl.col("sku").str.slice(0, 2))
    )
    common = known.group_by("grp").len().sort(["len", "grp"], descending=[True, False]).head(6)["grp"]
    rows = known.filter(pl.col("grp").is_in(common.implode())).group_by("customer", "grp", "day")
    return rows.agg(pl.col("money").sum().round(2)).sort("customer", "grp", "day")


def tourism_trips(folder: Path) -> pl.DataFrame:
    """region, purpose, quarter (its first day), trips."""
    frame = pl.read_parquet(folder / "tourism" / "australia_quarterly.parquet")
    day = pl.col("date_time").cast(pl.String).str.slice(0, 10).str.to_date()
    return frame.select(pl.col("Region").alias("region"), pl.col("Purpose").alias("purpose"), day.alias("quarter"),
                        pl.col("Trips").round(3).alias("trips")).sort("region", "purpose", "quarter")  # fmt: skip


def market_sample(folder: Path, seed: int, *, symbols: int = 12, days: int = 250) -> pl.DataFrame:
    """symbol, day, close, factor of some symbols in a window; one of them stops early, as a name that is delisted does."""
    frame = pl.scan_parquet(folder / "us_equities" / "daily_600.parquet").select("symbol", "date", "close", "adj_close")
    names = frame.select("symbol").unique().collect().to_series().sort().sample(symbols, seed=seed)
    rows = frame.filter(pl.col("symbol").is_in(names.implode())).collect().sort("symbol", "date")
    dates = rows["date"].unique().sort()
    first = int(np.random.default_rng(seed).integers(0, len(dates) - days))
    rows = rows.filter(pl.col("date").is_between(dates[first], dates[first + days - 1]))
    gone = (pl.col("symbol") == names.sort()[0]) & (pl.col("date") > dates[first + days - 25])
    adjusted = pl.col("adj_close") / pl.col("close")
    # A ratio of two rounded prices is 1 but for noise on days without a dividend or a split.
    factor = (adjusted.shift(1) / adjusted).over("symbol").fill_null(1.0)
    return rows.filter(~gone).select(
        "symbol", pl.col("date").dt.date().alias("day"), pl.col("close").cast(pl.Float64),
        pl.when((factor - 1).abs() > 1e-4).then(factor).otherwise(1.0).cast(pl.Float64).alias("factor"),
    )  # fmt: skip


# --- runs ---------------------------------------------------------------------------------------------------------------


def names_at_hand(trial: Trial) -> list[str]:
    """The registry's checks that ask whether this trial is honest."""
    return [n for n, one in REGISTRY.items() if trial.kind in one.kinds and n not in (*QUALITY, *ELSEWHERE)]


def verdicts_on(trial: Trial) -> list[Verdict]:
    """What every check says; a pipeline that a leak has broken altogether has not hidden it."""
    found = []
    for name in names_at_hand(trial):
        try:
            found.append(REGISTRY[name].make(Proof())(trial))
        except Exception as error:
            found.append(Verdict(name, "failed", None, None, f"refused: {error}", tier=REGISTRY[name].tier))
    return found


def trial_runs(case: str, make: Callable[[int], Trial], *, seeds: int, clean: int) -> Iterator[Run]:
    """Clean variants, then every leak at every seed."""
    for seed in range(1, clean + 1):
        yield case, CLEAN, verdicts_on(make(1000 + seed))
    for seed in range(1, seeds + 1):
        trial = make(seed)
        for leak in plantable(trial.kind):
            if leak.plant is not None:
                yield case, f"control.{leak.name}", verdicts_on(leak.plant(trial))


def market_runs(folder: Path, *, seeds: int, clean: int) -> Iterator[Run]:
    """The honest pipeline on samples of its own, then every leaky one at every seed."""
    for seed in range(1, clean + 1):
        yield "us_equities", CLEAN, list(_audited(honest, market_sample(folder, 1000 + seed)))
    for seed in range(1, seeds + 1):
        frame = market_sample(folder, seed)
        for name, pipeline in MARKETS.items():
            yield "us_equities", f"control.{name}", list(_audited(pipeline, frame))


def _audited(pipeline: Callable[[pl.DataFrame], pl.DataFrame], frame: pl.DataFrame) -> tuple[Verdict, ...]:
    days = frame["day"].unique().sort()
    return audit(
        pipeline, frame, [days[len(days) // 2], days[len(days) * 3 // 4]], time="day", entity="symbol"
    ).verdicts


# --- figures ------------------------------------------------------------------------------------------------------------


def rings(verdicts: Sequence[Verdict]) -> dict[str, bool]:
    """Which suite rings: each check by name, and `structural`, `statistical`, `all`, `classic`."""
    failed = {v.name: v.outcome == "failed" for v in verdicts}
    exact = any(v.outcome == "failed" for v in verdicts if v.tier == "structural")
    tests = [v for v in verdicts if v.tier == "statistical"]
    statistical = holm([v.p for v in tests if v.p is not None]) or any(
        v.outcome == "failed" for v in tests if v.p is None
    )
    classic = any(failed.get(name, False) for name in CLASSIC)
    return {**failed, "structural": exact, "statistical": statistical, "all": exact or statistical, "classic": classic}


def holm(p_values: Sequence[float]) -> bool:
    """Whether Holm's correction (1979) rejects at least one: the smallest p times their number is at most ALPHA."""
    return bool(p_values) and min(p_values) * len(p_values) <= ALPHA


def rates(runs: Sequence[Run]) -> list[Row]:
    """Rates with exact intervals by data set, who and suite or check; and over all data sets."""
    hits: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    count: Counter[tuple[str, str]] = Counter()
    for case, who, verdicts in runs:
        for place in (case, "all sets"):
            count[place, who] += 1
            hits[place, who].update({name: int(rang) for name, rang in rings(verdicts).items()})
    rows = []
    for (place, who), n in count.items():
        metric = "false_alarm_rate" if who == CLEAN else "detection_rate"
        for name, k in hits[place, who].items():
            found = clopper_pearson(float(k), float(n))
            for suffix, value in (("", found.estimate), ("_low", found.low), ("_high", found.high)):
                rows.append(Row(BENCHMARK, f"{place}/{name}", who, f"{metric}{suffix}", value, "ratio", n))
    return rows


def print_matrix(runs: Sequence[Run]) -> None:
    """Leaks by checks: in how many runs each rang, over all data sets; empty where it never did."""
    from rich.console import Console
    from rich.table import Table

    hits: dict[str, Counter[str]] = defaultdict(Counter)
    count: Counter[str] = Counter(who for _, who, _ in runs)
    for _, who, verdicts in runs:
        hits[who].update({name: int(rang) for name, rang in rings(verdicts).items()})
    names = list(dict.fromkeys(name for counter in hits.values() for name in counter))
    table = Table("leak", "runs", *names, "listed as")
    for who, n in count.items():
        listed = ZOO[who.removeprefix("control.")] if who != CLEAN else None
        said = "" if listed is None else "escapes" if listed.escapes else "caught"
        table.add_row(who, str(n), *(str(hits[who][name] or "") for name in names), said)
    Console(width=40 + 12 * (len(names) + 2)).print(table)


def wanted(rows: Sequence[Row]) -> list[Check]:
    """What is expected of the rates over all data sets."""
    exact = {name for name, one in REGISTRY.items() if one.tier == "structural"}
    leaks = dict.fromkeys(row.who for row in rows if row.who != CLEAN)
    checks = [Check("all sets/structural", "false_alarm_rate", high=0.01, who=CLEAN)]
    if any(one.tier == "statistical" and name not in QUALITY for name, one in REGISTRY.items()):
        checks.append(Check("all sets/statistical", "false_alarm_rate", high=0.05, who=CLEAN))
    for who in leaks:
        if exact & set(ZOO[who.removeprefix("control.")].expected):
            checks.append(Check("all sets/structural", "detection_rate", low=0.95, who=who))
    return checks


def runs_of(case: str, folder: Path, *, seeds: int, clean: int) -> Iterator[Run]:
    """The runs of one data set."""
    match case:
        case "retail":
            lines = retail_lines(folder)
            yield from trial_runs(case, lambda seed: retail_trial(lines, seed, accounts=150), seeds=seeds, clean=clean)
        case "tourism":
            trips = tourism_trips(folder)
            yield from trial_runs(case, lambda seed: tourism_trial(trips, seed, series=20), seeds=seeds, clean=clean)
        case _:
            yield from market_runs(folder, seeds=seeds, clean=clean)


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments, with sets as a list."""
    arguments = parser(__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    arguments.add_argument("--sets", default="", help=f"some of {','.join(SETS)}")
    arguments.add_argument("--seeds", type=int, help="samples that each leak is planted into")
    arguments.add_argument("--clean", type=int, help="clean variants a data set")
    options = arguments.parse_args(words)
    options.sets = [name for name in options.sets.split(",") if name] or list(SETS[:1] if options.quick else SETS)
    if unknown := [name for name in options.sets if name not in SETS]:
        arguments.error(f"--sets: {unknown[0]}; wanted some of {','.join(SETS)}")
    options.seeds = options.seeds or (2 if options.quick else 10)
    options.clean = options.clean or (4 if options.quick else 34)
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Plant, judge, print, write; 1 where something falls short of what is expected."""
    options = options_of(words)
    folder = data_dir(options)
    missing = [name for name in CLASSIC if name not in REGISTRY]
    there = ", ".join(name for name in CLASSIC if name in REGISTRY)
    print(f"classic set: {there}" + (f"; not there: {', '.join(missing)}" if missing else ""))
    runs: list[Run] = []
    for case in options.sets:
        for run in runs_of(case, folder, seeds=options.seeds, clean=options.clean):
            runs.append(run)
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    rows = rates(runs)
    print_matrix(runs)
    for suite in SUITES:
        found = [row for row in rows if row.case == f"all sets/{suite}"]
        leaks = [row.value for row in found if row.metric == "detection_rate"]
        clean = [row.value for row in found if row.metric == "false_alarm_rate"]
        print(
            f"{suite}: catches {np.mean(leaks):.1%} of leaks in the mean, rings on {np.mean(clean):.1%} of clean variants"
        )
    write_json(rows, options.json)
    return expect(rows, wanted(rows))


if __name__ == "__main__":
    sys.exit(main())
