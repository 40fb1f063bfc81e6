"""Which check catches which leak: every leak of the zoo planted into honest pipelines on real data, beside clean variants.

`python benchmarks/gauntlet.py --json FILE [--sets retail,tourism,us_equities] [--seeds 10] [--clean 34] [--quick] [--data DIR]`

retail: Online Retail II, accounts x product groups (the first two digits of the code), a purchase within 90 days; features of
the workload, members `logistic` alone. tourism: quarterly trips by region and purpose, the horizon of a year. us_equities:
market pipelines as strangers' functions of rows, through an audit. A seed is a sample of accounts, series or symbols; a clean
variant is the honest pipeline on a sample of its own. `--quick`: retail, 2 seeds, 4 clean variants, 2 workers.

The checks are those of the registry at run time. Those that judge how good a prediction is and not how honest (`QUALITY`) run and
stand in the matrix, and count in no suite: a weak honest pipeline fails them. The p values of a proof are corrected together as
in every proof (`gauntlet.holm.finalised`), so the 5% of the statistical tier are for a whole proof. A leak is caught where one
check fails. Suites: `structural` (exact), `statistical`, `all`, and `classic` (permutation, shift grid, SAFE ablation, overlap of
entities), which is what people usually run. A sample on which planting a leak leaks nothing (no gap to fill, nobody who bought on
the day of a cutoff: `leaks.zoo.leaks_nothing`) is no run of that leak and stands apart, under `nothing`. `low` and `high` are
exact 95% intervals (Clopper-Pearson). `who` is `control.LEAK`, or `clean` for the honest pipelines. `--workers` runs seeds side
by side, `--keep FILE` writes each sample down as it ends and goes on from there, `--markdown` prints tables in Markdown.

The last block expects every leak that is listed as caught by an exact check to be caught in 95% of its runs, structural false
alarms of at most 1%, statistical ones of at most 5%, and the classic set below ours.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
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
from foreproof.engine.beside import beside
from foreproof.engine.build import builder
from foreproof.engine.line import Bench
from foreproof.engine.pairs import pair_builder
from foreproof.engine.prove import held, remembered, trial_of
from foreproof.gauntlet.holm import finalised
from foreproof.gauntlet.leaks.zoo import ZOO, leaks_nothing, plantable, planted
from foreproof.gauntlet.leaks.zoo_markets import LABELS, MARKETS, Outcome, filled_at_next_close, honest
from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.registry import REGISTRY
from foreproof.workloads.forecast import parse_forecast
from foreproof.workloads.propensity import parse_propensity

BENCHMARK, CLEAN = "gauntlet", "clean"
SETS = ("retail", "tourism", "us_equities")
QUALITY = ("beats the baseline", "beats the base rate", "coverage", "calibration", "expected against realised", "looks")
"""They ask how good a prediction is: a weak honest pipeline fails them, and says nothing of a leak."""
ELSEWHERE = ("repetition", "serving")
"""They need a process of their own, or a second path: no leak of the zoo is about either."""
CLASSIC = ("permutation", "shift grid", "safe ablation", "overlap")
SUITES = ("structural", "statistical", "all", "classic")

Run = tuple[str, str, list[Verdict]]
"""A data set, who (a leak or CLEAN), and what each check said: nothing where the planted leak leaks nothing on that sample."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample of one data set: with the honest pipeline alone, or with every leak planted in turn. Not begun after `until`."""

    case: str
    folder: Path
    seed: int
    honest: bool
    until: float = math.inf


ACCOUNTS = 200
CALIBRATION = 0.08
"""The largest calibration error: a plan's .03 needs more than these some 2,800 pairs of 160 accounts in its ten bins."""
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
    "backtest": {"origins": 2, "every": 60, "calibrations": 4, "examples": 6, "stride": 45},
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
    safe = plan.under("safe")
    rows = lines.filter(pl.col("customer").is_in(names.implode()))
    database = Database({"lines": parse(plan.contracts[0], rows, now=None)})
    cutoffs = moments(plan.task.series.grid, ("2011-03-31", "2011-05-31", "2011-07-31"))
    bench = Bench(Kept(), workers=1, progress=Silent())
    trial = trial_of(plan, database, cutoffs, pair_builder(plan, bench))
    return replace(trial, safe=remembered(pair_builder(safe, bench)))


def tourism_trial(trips: pl.DataFrame, seed: int, *, series: int) -> Trial:
    """The forecast workload on a sample of series, at five cutoffs: twenty quarters are judged."""
    keys = trips.select("region", "purpose").unique().sort("region", "purpose").sample(series, seed=seed)
    plan = parse_forecast(plan_of({**TOURISM, "seed": seed}))
    rows = trips.join(keys, on=["region", "purpose"], how="semi")
    database = Database({"trips": parse(plan.contracts[0], rows, now=None)})
    cutoffs = moments(plan.task.series.grid, [f"{year}-12-31" for year in range(2012, 2017)])
    return trial_of(plan, database, cutoffs, builder(plan, Bench(Kept(), workers=1, progress=Silent())))


def moments(grid: object, days: Sequence[str]) -> tuple[Moment, ...]:
    """The grid points of some days."""
    return tuple(grid.add(parse_moment(day, grid, subject="cutoff"), 0) for day in days)  # type: ignore[attr-defined,arg-type]


@cache
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


@cache
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
    # One that trades through the whole window: who is not there at the cutoffs cannot leave after them.
    there = rows.group_by("symbol").len().filter(pl.col("len") == days)["symbol"].min()
    gone = (pl.col("symbol") == pl.lit(there)) & (pl.col("date") > dates[first + days - 25])
    adjusted = pl.col("adj_close") / pl.col("close")
    # A ratio of two rounded prices is 1 but for noise on days without a dividend or a split.
    factor = (adjusted.shift(1) / adjusted).over("symbol").fill_null(1.0)
    return rows.filter(~gone).select(
        "symbol", pl.col("date").dt.date().alias("day"), pl.col("close").cast(pl.Float64),
        pl.when((factor - 1).abs() > 1e-4).then(factor).otherwise(1.0).cast(pl.Float64).alias("factor"),
    )  # fmt: skip


# --- runs ---------------------------------------------------------------------------------------------------------------


def verdicts_on(trial: Trial) -> list[Verdict]:
    """What every check says, as a proof would; a pipeline that a leak has broken altogether has not hidden it."""
    found = []
    for name, one in REGISTRY.items():
        if trial.kind not in one.kinds or name in ELSEWHERE:
            continue
        try:
            found.append(replace(one.make(Proof(calibration=CALIBRATION))(trial), tier=one.tier))
        except Exception as error:
            found.append(Verdict(name, "failed", None, None, f"refused: {error}", tier=one.tier))
    return finalised(found)


def jobs_of(cases: Sequence[str], folder: Path, *, seeds: int, clean: int, until: float = math.inf) -> list[Job]:
    """Every seed of every data set, clean variants and leaks in turn, so that a run that is cut short has some of each."""
    last = max(seeds, clean)
    return [
        Job(case, folder, seed, honest, until)
        for seed in range(1, last + 1)
        for case in cases
        for honest in (True, False)
        if seed <= (clean if honest else seeds)
    ]


def runs_of(job: Job) -> list[Run]:
    """A clean variant on a sample of its own, or every leak of the data set planted into one sample; nothing where time is up."""
    if time.time() > job.until:
        return []
    seed = 1000 + job.seed if job.honest else job.seed
    if job.case == "us_equities":
        frame = market_sample(job.folder, seed)
        pipelines = {CLEAN: honest} if job.honest else {f"control.{name}": one for name, one in MARKETS.items()}
        return [
            (job.case, who, list(_audited(one, frame, LABELS.get(who.removeprefix("control.")))))
            for who, one in pipelines.items()
        ]
    trial = (
        retail_trial(retail_lines(job.folder), seed, accounts=ACCOUNTS)
        if job.case == "retail"
        else tourism_trial(tourism_trips(job.folder), seed, series=20)
    )
    if job.honest:
        return [(job.case, CLEAN, verdicts_on(trial))]
    return [(job.case, f"control.{leak.name}", planted_verdicts(leak.name, trial)) for leak in plantable(trial.kind)]


def planted_verdicts(name: str, trial: Trial) -> list[Verdict]:
    """What every check says of a trial with a leak in it; nothing where the leak leaks nothing on this sample."""
    spoiled = held(planted(name, trial))
    return [] if leaks_nothing(name, trial, spoiled) else verdicts_on(spoiled)


def all_runs(jobs: Sequence[Job], *, workers: int, keep: Path | None = None) -> list[Run]:
    """The runs of all jobs in order, some of them side by side; a line to standard error as each ends.

    keep: where each job is written down as it ends; those that stand there already are not run again, whatever has changed
    since: begin another file with other checks or data.
    """
    found = _kept(keep)
    open_jobs = [job for job in jobs if _named(job) not in found]
    if workers == 1:
        for job in open_jobs:
            found[_named(job)] = _ended(job, runs_of(job), keep)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(light, job): job for job in open_jobs}
            for done in as_completed(waiting):
                found[_named(waiting[done])] = _ended(waiting[done], done.result(), keep)
    return [run for job in jobs for run in found[_named(job)]]


def _named(job: Job) -> str:
    return f"{job.case} {job.seed} {'clean' if job.honest else 'leaks'}"


def _kept(keep: Path | None) -> dict[str, list[Run]]:
    """The jobs of an earlier run, by name."""
    if keep is None or not keep.exists():
        return {}
    lines = [json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {
        line["job"]: [
            (case, who, [Verdict(name, outcome, None, None, "", tier=tier) for name, outcome, tier in verdicts])
            for case, who, verdicts in line["runs"]
        ]
        for line in lines
    }


def _ended(job: Job, runs: list[Run], keep: Path | None) -> list[Run]:
    """Says what a job found, and writes it down."""
    _told(job, runs)
    if keep is not None and runs:
        flat = [(case, who, [(v.name, v.outcome, v.tier) for v in verdicts]) for case, who, verdicts in runs]
        with keep.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"job": _named(job), "runs": flat}) + "\n")  # not onto half a line
    return runs


def light(job: Job) -> list[Run]:
    """The runs of a job without their evidence, which no table reads, for the way between processes."""
    return [(case, who, [replace(one, evidence={}) for one in verdicts]) for case, who, verdicts in runs_of(job)]


def _told(job: Job, runs: list[Run]) -> None:
    if not runs:
        print(f"{job.case}, sample {job.seed}: left out, time is up", file=sys.stderr, flush=True)
        return
    rang = [
        f"{who}: {', '.join(v.name for v in verdicts if v.outcome == 'failed') if verdicts else 'planted nothing'}"
        for _, who, verdicts in runs
    ]
    print(f"{job.case}, sample {job.seed}: " + "; ".join(rang), file=sys.stderr, flush=True)


def _audited(
    pipeline: Callable[[pl.DataFrame], pl.DataFrame], frame: pl.DataFrame, labels: Outcome | None = None
) -> tuple[Verdict, ...]:
    days = frame["day"].unique().sort()
    cutoffs = [days[len(days) // 2], days[len(days) * 3 // 4]]
    judged = beside(pipeline, labels=labels or filled_at_next_close)
    return audit(judged, frame, cutoffs, time="day", entity="symbol").verdicts


# --- figures ------------------------------------------------------------------------------------------------------------


def rings(verdicts: Sequence[Verdict]) -> dict[str, bool]:
    """Which suite rings on a proof: each check by name, and `structural`, `statistical`, `all`, `classic`, as far as they ran."""
    failed = {v.name: v.outcome == "failed" for v in verdicts}
    honesty = [v for v in verdicts if v.name not in QUALITY]
    suites = {
        "structural": [v for v in honesty if v.tier == "structural"],
        "statistical": [v for v in honesty if v.tier == "statistical"],
        "all": honesty,
        "classic": [v for v in honesty if v.name in CLASSIC],
    }
    return failed | {name: any(failed[v.name] for v in some) for name, some in suites.items() if some}


def rates(runs: Sequence[Run]) -> list[Row]:
    """Rates with exact intervals by data set, who and suite or check; and over all data sets."""
    tried: Counter[tuple[str, str, str]] = Counter()
    hits: Counter[tuple[str, str, str]] = Counter()
    for case, who, verdicts in (run for run in runs if run[2]):
        for name, rang in rings(verdicts).items():
            for place in (case, "all sets"):
                tried[place, name, who] += 1
                hits[place, name, who] += int(rang)
    rows = []
    for (place, name, who), n in tried.items():
        metric = "false_alarm_rate" if who == CLEAN else "detection_rate"
        found = clopper_pearson(float(hits[place, name, who]), float(n))
        for suffix, value in (("", found.estimate), ("_low", found.low), ("_high", found.high)):
            rows.append(Row(BENCHMARK, f"{place}/{name}", who, f"{metric}{suffix}", value, "ratio", n))
    return rows


def exact_names() -> set[str]:
    """The checks of the structural tier."""
    return {name for name, one in REGISTRY.items() if one.tier == "structural"}


def matrix(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: leaks by checks, in how many runs each rang, over all data sets; empty where it never did.

    `runs`: those in which the leak leaks something; `nothing`: those in which it leaks nothing, which no check can see.
    """
    hits: dict[str, Counter[str]] = defaultdict(Counter)
    count: Counter[str] = Counter(who for _, who, verdicts in runs if verdicts)
    nothing: Counter[str] = Counter(who for _, who, verdicts in runs if not verdicts)
    for _, who, verdicts in runs:
        hits[who].update({name: int(rang) for name, rang in rings(verdicts).items()})
    rang = {name for counter in hits.values() for name, n in counter.items() if n}
    names = [name for name in (*REGISTRY, *SUITES) if name in rang]
    rows = []
    for who in dict.fromkeys(who for _, who, _ in runs):
        listed = ZOO[who.removeprefix("control.")] if who != CLEAN else None
        sure = listed is not None and bool(exact_names() & set(listed.expected))
        said = "" if listed is None else "escapes" if listed.escapes else "caught" if sure else "if strong"
        counts = [str(count[who]), *([str(nothing[who] or "")] if nothing else [])]
        rows.append([who.removeprefix("control."), *counts, *(str(hits[who][name] or "") for name in names), said])
    return ["leak", "runs", *(["nothing"] if nothing else []), *names, "listed as"], rows


def summary(rows: Sequence[Row], sets: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: by data set and suite, leaks caught and false alarms among clean variants, with exact intervals."""
    lines = []
    for place in [*sets, "all sets"] if len(sets) > 1 else sets:
        for suite in SUITES:
            some = [row for row in rows if row.case == f"{place}/{suite}"]
            cells = [_rate(some, metric) for metric in ("detection_rate", "false_alarm_rate")]
            if any(cells):
                lines.append([place, suite, *cells])
    return ["data set", "suite", "runs with a leak in which it rang", "clean variants on which it rang"], lines


def _rate(rows: Sequence[Row], metric: str) -> str:
    found = [row for row in rows if row.metric == metric]
    if not found:
        return ""
    n = sum(row.n for row in found)
    k = round(sum(row.value * row.n for row in found))
    rate = clopper_pearson(float(k), float(n))
    return f"{k} of {n}: {rate.estimate:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def print_grid(title: str, grid: tuple[list[str], list[list[str]]], *, markdown: bool) -> None:
    """A table to read, or one for a page of the documentation."""
    head, rows = grid
    if markdown:
        aligned = ["---", *("---:" for _ in head[1:])]
        print("\n".join("| " + " | ".join(line) + " |" for line in (head, aligned, *rows)), end="\n\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, title=title)
    for line in rows:
        table.add_row(*line)
    Console(width=40 + 30 * len(head)).print(table)


def wanted(rows: Sequence[Row]) -> list[Check]:
    """What is expected of the rates over all data sets."""
    leaks = dict.fromkeys(row.who for row in rows if row.who != CLEAN)
    checks = [Check("all sets/structural", "false_alarm_rate", high=0.01, who=CLEAN)]
    if any(one.tier == "statistical" and name not in QUALITY for name, one in REGISTRY.items()):
        checks.append(Check("all sets/statistical", "false_alarm_rate", high=0.05, who=CLEAN))
    for who in leaks:
        if exact_names() & set(ZOO[who.removeprefix("control.")].expected):
            checks.append(Check("all sets/structural", "detection_rate", low=0.95, who=who))
    return checks


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments, with sets as a list."""
    arguments = parser(__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    arguments.add_argument("--sets", default="", help=f"some of {','.join(SETS)}")
    arguments.add_argument("--seeds", type=int, help="samples that each leak is planted into")
    arguments.add_argument("--clean", type=int, help="clean variants a data set")
    arguments.add_argument("--workers", type=int, help="seeds that run side by side")
    arguments.add_argument("--minutes", type=float, default=math.inf, help="no sample is begun after so many")
    arguments.add_argument("--keep", type=Path, help="where each sample is written down as it ends, to go on from")
    arguments.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    options = arguments.parse_args(words)
    options.sets = [name for name in options.sets.split(",") if name] or list(SETS[:1] if options.quick else SETS)
    if unknown := [name for name in options.sets if name not in SETS]:
        arguments.error(f"--sets: {unknown[0]}; wanted some of {','.join(SETS)}")
    options.seeds = (2 if options.quick else 10) if options.seeds is None else options.seeds
    options.workers = (2 if options.quick else 1) if options.workers is None else options.workers
    options.clean = (4 if options.quick else 34) if options.clean is None else options.clean
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Plant, judge, print, write; 1 where something falls short of what is expected."""
    options = options_of(words)
    folder = data_dir(options)
    missing = [name for name in CLASSIC if name not in REGISTRY]
    there = ", ".join(name for name in CLASSIC if name in REGISTRY)
    print(f"classic set: {there}" + (f"; not there: {', '.join(missing)}" if missing else ""))
    if options.keep is not None:
        options.keep.parent.mkdir(parents=True, exist_ok=True)
    until = time.time() + 60.0 * options.minutes
    jobs = jobs_of(options.sets, folder, seeds=options.seeds, clean=options.clean, until=until)
    runs = all_runs(jobs, workers=options.workers, keep=options.keep)
    rows = rates(runs)
    print_grid("Leaks by checks", matrix(runs), markdown=options.markdown)
    print_grid("Suites", summary(rows, options.sets), markdown=options.markdown)
    write_json(rows, options.json)
    return expect(rows, wanted(rows))


if __name__ == "__main__":
    sys.exit(main())
