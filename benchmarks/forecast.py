"""Accuracy, intervals and cost of forecasts on M4 and M3: Foreproof's default plan beside its peers.

`python benchmarks/forecast.py --sets m4_hourly,m4_weekly,m4_yearly,m3_monthly,m3_quarterly --json FILE
[--sample N --seed S] [--who foreproof,AutoETS] [--quick] [--data DIR]`

All of a run forecast the same series, each from a fresh process with one thread for each library; seconds and memory are
those of reading the data, importing, fitting and forecasting. The forecasts are scored here, once for all: OWA the M4 way
(means of sMAPE and MASE over the means of Naive2), MASE, sMAPE in percent, coverage of the central 80 and 95%, MSIS of the
latter. Nothing reads `test` before it is scored. A peer is tried on 20 series first; one above 200 CPU ms a series is skipped,
and the row that says so holds the seconds of those 20. The last block compares our OWA with the best single peer's of the
same run, and our coverage with 92..97%.

Data: `m4/hourly.parquet` and so on, columns unique_id, ds, y, split (train | test).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import CaseFailed, Check, Row, data_dir, expect, measure, parser, print_table, write_json

BENCHMARK = "forecast"
OURS = "foreproof"
LEVELS = (80, 95)
DEAREST, TRIED, WARMED = 0.2, 20, 2
"""CPU seconds a series above which a peer is skipped, the series that show it, and those before that compile its code."""
QUICK = 20


@dataclass(frozen=True, slots=True)
class Set:
    """One set of series: where it is, its horizon, the season of the official scores, and the season that models are told.

    The organisers score weekly series with season 1, although weeks have a year: models are told 52.
    """

    path: str
    horizon: int
    scored: int
    season: int


SETS = {
    "m4_hourly": Set("m4/hourly.parquet", 48, 24, 24),
    "m4_weekly": Set("m4/weekly.parquet", 13, 1, 52),
    "m4_yearly": Set("m4/yearly.parquet", 6, 1, 1),
    "m3_monthly": Set("m3/monthly.parquet", 18, 12, 12),
    "m3_quarterly": Set("m3/quarterly.parquet", 8, 4, 4),
}
STATISTICAL = ("SeasonalNaive", "AutoETS", "DynamicOptimizedTheta", "AutoTheta", "AutoCES")
PEERS = (*STATISTICAL, "LightGBM")


def read(path: str | Path, ids: Sequence[str] | None, split: str) -> Any:
    """unique_id, ds, y of one split, sorted, on one clock: each series' last step of `train` is step 0."""
    import polars as pl

    frame = pl.read_parquet(path)
    if ids is not None:
        frame = frame.filter(pl.col("unique_id").is_in(list(ids)))
    end = pl.col("ds").filter(pl.col("split") == "train").max().over("unique_id")
    aligned = frame.with_columns(ds=pl.col("ds") - end, y=pl.col("y").cast(pl.Float64))
    return aligned.filter(pl.col("split") == split).select("unique_id", "ds", "y").sort("unique_id", "ds")


# --- what is measured: each writes unique_id, cutoff, step, level (null = point), value to `out` -----------------------


def foreproof(path: str, ids: list[str] | None, horizon: int, season: int, out: str, seed: int) -> dict[str, Any]:
    """The default plan on a lake's table, without the lake."""
    import polars as pl

    from foreproof.core.view import Database, Table
    from foreproof.engine.build import builder
    from foreproof.engine.line import Bench
    from foreproof.workloads.forecast import parse_forecast

    plan = parse_forecast(_plan(horizon, season))
    rows = read(path, ids, "train").rename({"ds": "_happened"})
    rows = rows.with_columns(
        _known=pl.col("_happened"), _batch=pl.lit(1, dtype=pl.Int64), _deleted=pl.lit(False, dtype=pl.Boolean)
    )
    database = Database({"facts": Table(plan.contracts[0], rows)})
    built = builder(plan, Bench(Kept(), workers=1, progress=Silent()))(database, (0,), seed)
    forecasts = built.forecasts
    wanted = pl.col("level").is_null() | (pl.col("level") * 1000).round().is_in([25.0, 100.0, 900.0, 975.0])
    forecasts.predictions.filter(wanted).write_parquet(out)
    return {"weights": dict(forecasts.detail[0].weights)}


def _plan(horizon: int, season: int) -> Any:
    from foreproof.core.plan import plan_of

    facts = {
        "key": ["unique_id", "ds"],
        "happened": {"column": "ds", "period": "integer"},
        "known": "same_as_happened",
        "columns": {"unique_id": "text", "y": {"type": "real", "low": 0}},
    }
    series = {
        "table": "facts",
        "by": ["unique_id"],
        "value": "y",
        "every": "integer",
        "aggregate": "last",
        "gap": "missing",
    }
    task = {"tables": {"facts": facts}, "series": series, "horizon": horizon, "season": season}
    return plan_of({"schema": 1, "name": "benchmark", "workload": "forecast", **task})


class Kept:
    """Finished steps in memory: a benchmark resumes nothing."""

    def __init__(self) -> None:
        self.steps: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """The frames of a finished step, or None."""
        return self.steps.get(key)

    def put(self, key: str, frames: Any) -> None:
        """Keep the frames of a finished step."""
        self.steps[key] = frames

    def run(self, key: str, fn: Any) -> Any:
        """The kept frames, or those that `fn` computes, kept."""
        if key not in self.steps:
            self.steps[key] = fn()
        return self.steps[key]


class Silent:
    """Nobody watches."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins."""

    def advance(self, n: int = 1) -> None:
        """Units are done."""


def statistical(path: str, ids: list[str] | None, horizon: int, season: int, out: str, who: str) -> dict[str, Any]:
    """One model of statsforecast with its own intervals; a series that it cannot model gets the naive forecast."""
    import statsforecast.models as models
    from statsforecast import StatsForecast

    # ETS and CES hold 24 phases at most; the theta models test for the season themselves.
    inner = 1 if season > 24 and who in ("AutoETS", "AutoCES") else season
    frame = read(path, ids, "train")

    def run(part: Any) -> Any:
        model = getattr(models, who)(season_length=inner, alias=who)
        return StatsForecast([model], freq=1, n_jobs=1, fallback_model=models.Naive()).forecast(
            df=part, h=horizon, level=list(LEVELS)
        )

    return _tried(run, frame, who, out)


def boosting(path: str, ids: list[str] | None, horizon: int, season: int, out: str, who: str) -> dict[str, Any]:
    """LightGBM through mlforecast: recursive, on differenced and standardised series, conformal intervals where they fit."""
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import Differences, LocalStandardScaler
    from mlforecast.utils import PredictionIntervals

    frame = read(path, ids, "train")
    shortest = frame.group_by("unique_id").len()["len"].min()
    lags = {1: [1, 2, 3, 4], 4: [*range(1, 9)], 12: [*range(1, 14)], 24: [*range(1, 25), 48, 168], 52: [*range(1, 14)]}
    differences = [season] if season == 24 else [1]
    window = max(3, min(season, 24))
    windows = 2
    room = shortest > windows * horizon + max(lags[season]) + differences[0] + window

    def run(part: Any) -> Any:
        model = LGBMRegressor(
            n_estimators=200, learning_rate=0.05, num_leaves=31, n_jobs=1, verbosity=-1, random_state=1
        )
        fcst = MLForecast(
            models={who: model},
            freq=1,
            lags=lags[season],
            lag_transforms={1: [RollingMean(window, min_samples=1)]},
            target_transforms=[Differences(differences), LocalStandardScaler()],
            num_threads=1,
        )
        intervals = PredictionIntervals(n_windows=windows, h=horizon) if room else None
        fcst.fit(part, static_features=[], prediction_intervals=intervals)
        return fcst.predict(horizon, level=list(LEVELS) if room else None)

    # One model for all series: 20 of them would be charged the whole cost of learning, so nothing is tried before.
    _write(run(frame), who, out)
    return {"tried": 0.0, "intervals": bool(room)}


def _tried(run: Any, frame: Any, who: str, out: str) -> dict[str, Any]:
    """Try some series, then all; `tried`: CPU seconds of the trial; `skipped`: seconds a series where it was too dear."""
    names = frame["unique_id"].unique().sort()
    first = frame.filter(frame["unique_id"].is_in(names[:WARMED].to_list()))
    # Spread over the names, since neighbours are of one kind and length.
    spread = names.gather_every(max(1, len(names) // TRIED))[:TRIED]
    part = frame.filter(frame["unique_id"].is_in(spread.to_list()))
    run(first)
    start = time.process_time()
    run(part)
    tried = time.process_time() - start
    each = tried / len(spread)
    if each > DEAREST:
        return {"tried": tried, "skipped": each}
    _write(run(frame), who, out)
    return {"tried": tried}


def _write(wide: Any, who: str, out: str) -> None:
    import polars as pl

    columns = {f"{who}-{side}-{level}": (50 + sign * level / 2) / 100 for level in LEVELS for side, sign in SIDES}
    step = wide.sort("unique_id", "ds").with_columns(
        pl.col("ds").cast(pl.Int64).alias("step"), pl.lit(0, dtype=pl.Int64).alias("cutoff")
    )
    parts = [
        step.select(
            "unique_id", "cutoff", "step", pl.lit(level, dtype=pl.Float64).alias("level"), pl.col(name).alias("value")
        )
        for name, level in {who: None, **columns}.items()
        if name in wide.columns
    ]
    pl.concat(parts).with_columns(pl.col("value").cast(pl.Float64)).write_parquet(out)


SIDES = (("lo", -1), ("hi", 1))


# --- scoring and plumbing ---------------------------------------------------------------------------------------------


def truth(path: Path, ids: Sequence[str] | None, chosen: Set) -> tuple[Any, Any]:
    """Actuals with Naive2's forecasts, and the scales of each series, as `score_table` takes them."""
    import polars as pl

    from foreproof.core.score import mase_scale, naive2, rmsse_scale

    past = read(path, ids, "train").group_by("unique_id", maintain_order=True).agg("y")
    naive, scales = [], []
    for name, y in past.iter_rows():
        values = naive2(y, chosen.horizon, season=chosen.scored)
        naive.append(
            pl.DataFrame({"unique_id": name, "step": range(1, chosen.horizon + 1), "naive2": values}).cast(
                {"step": pl.Int64}
            )
        )
        scales.append((name, mase_scale(y, chosen.scored), rmsse_scale(y, chosen.scored)))
    actuals = read(path, ids, "test").rename({"ds": "step"}).join(pl.concat(naive), on=["unique_id", "step"])
    if actuals.height != past.height * chosen.horizon:
        raise SystemExit(f"{path}: {actuals.height} test rows, wanted {past.height * chosen.horizon}")
    units = pl.DataFrame(scales, schema=["unique_id", "mase_scale", "rmsse_scale"], orient="row")
    return actuals, units


def scores(predictions: Any, actuals: Any, scales: Any) -> dict[str, float]:
    """The benchmark's figures of one forecaster; NaN where it gave no intervals."""
    from foreproof.core.score_table import score_table

    if predictions.filter(predictions["level"].is_null()).height != actuals.height:
        raise SystemExit("a forecaster did not forecast every step of every series")
    table = score_table(predictions, actuals, scales, by=())
    found = dict(table.select("metric", "value").iter_rows())
    return {name: found[name] for name in METRICS if found.get(name) is not None}


METRICS = {
    "owa": "ratio",
    "mase": "ratio",
    "smape": "percent",
    "coverage80": "ratio",
    "coverage95": "ratio",
    "msis95": "ratio",
}


def sampled(path: Path, *, sample: int | None, seed: int) -> list[str] | None:
    """The names of the series to forecast, sorted; None for all of them."""
    import numpy as np
    import polars as pl

    names = pl.read_parquet(path, columns=["unique_id"])["unique_id"].unique().sort().to_list()
    if sample is None or sample >= len(names):
        return None
    drawn = np.random.default_rng(seed).choice(len(names), size=sample, replace=False)
    return [names[i] for i in sorted(drawn)]


def _case(case: str, chosen: Set, path: Path, options: argparse.Namespace) -> list[Row]:
    """Everybody on one set."""
    import polars as pl

    ids = sampled(path, sample=options.sample, seed=options.seed)
    actuals, scales = truth(path, ids, chosen)
    many = scales.height
    rows: list[Row] = []
    for name in options.who:
        label = labelled(name)
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/predictions.parquet"
            given = {"path": str(path), "ids": ids, "horizon": chosen.horizon, "season": chosen.season, "out": out}
            try:
                match name:
                    case "foreproof":
                        done = measure("forecast:foreproof", **given, seed=options.seed)
                    case "LightGBM":
                        done = measure("forecast:boosting", **given, who=name)
                    case _:
                        done = measure("forecast:statistical", **given, who=name)
            except CaseFailed as error:
                print(f"{case} {label}: failed and has no figures: {error}", flush=True)
                continue
            tried = done.result.get("tried", 0.0)
            if "skipped" in done.result:
                each = done.result["skipped"]
                print(f"{case} {label}: skipped, {each * 1000:.0f} CPU ms a series on {TRIED} of them", flush=True)
                rows.append(Row(BENCHMARK, case, label, "cpu_seconds", tried, "s", min(TRIED, many)))
                continue
            figures = scores(pl.read_parquet(out), actuals, scales)
        rows += [Row(BENCHMARK, case, label, metric, value, METRICS[metric], many) for metric, value in figures.items()]
        rows += [
            Row(BENCHMARK, case, label, "cpu_seconds", done.cpu_seconds - tried, "s", many),
            Row(BENCHMARK, case, label, "peak_mb", done.peak_mb, "MB", many),
        ]
        note = f" {done.result['weights']}" if "weights" in done.result else ""
        print(f"{case} {label}: OWA {figures['owa']:.4f}, {done.cpu_seconds - tried:.1f} CPU s{note}", flush=True)
    return rows


def labelled(name: str) -> str:
    """A peer with its library and version."""
    from importlib.metadata import version

    if name == OURS:
        return OURS
    library = "statsforecast" if name in STATISTICAL else "mlforecast"
    return f"{library}.{name} {version(library)}"


def checks(rows: Sequence[Row]) -> list[Check]:
    """Our OWA at most the best single peer's of the same run; coverage of the 95% intervals within 92..97%."""
    found = []
    for case in dict.fromkeys(row.case for row in rows):
        peers = [row.value for row in rows if (row.case, row.metric) == (case, "owa") and row.who != OURS]
        if peers:
            found.append(Check(case, "owa", high=min(peers)))
        found += [Check(case, "coverage95", low=0.92), Check(case, "coverage95", high=0.97)]
    return found


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; sets and who as lists, an unknown one refused in words."""
    arguments = parser((__doc__ or "").splitlines()[0])
    arguments.add_argument("--sets", default=",".join(SETS), help="sets of series, separated by commas")
    arguments.add_argument("--sample", type=int, help="so many series of each set, drawn with --seed (default: all)")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--who", default=",".join((OURS, *PEERS)), help="who forecasts, separated by commas")
    chosen = arguments.parse_args(words)
    known: Mapping[str, Sequence[str]] = {"sets": tuple(SETS), "who": (OURS, *PEERS)}
    for name, words_known in known.items():
        given = list(dict.fromkeys(filter(None, getattr(chosen, name).split(","))))
        unknown = [word for word in given if word not in words_known]
        if unknown or not given:
            arguments.error(
                f"--{name}: found {', '.join(unknown) or 'nothing'}, wanted some of {', '.join(words_known)}"
            )
        setattr(chosen, name, given)
    if chosen.sample is not None and chosen.sample < 1:
        arguments.error(f"--sample: found {chosen.sample}, wanted at least 1")
    if chosen.quick:
        chosen.sample = min(chosen.sample or QUICK, QUICK)
    return chosen


def main() -> int:
    options = options_of()
    folder = data_dir(options)
    absent = [SETS[name].path for name in options.sets if not (folder / SETS[name].path).is_file()]
    if absent:
        print(f"data: no {', '.join(absent)} in {folder}; see docs/benchmarks.md")
        return 2
    rows: list[Row] = []
    for case in options.sets:
        rows += _case(case, SETS[case], folder / SETS[case].path, options)
    print_table(rows)
    write_json(rows, options.json)
    return expect(rows, checks(rows))


if __name__ == "__main__":
    sys.exit(main())
