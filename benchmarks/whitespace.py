"""Who will buy of a product group they have not bought of: Foreproof's lists beside rankings, ALS and LightGBM.

`python benchmarks/whitespace.py --json FILE [--cutoffs 2011-05-31,...] [--who foreproof,popularity] [--quick] [--data DIR]`

Online Retail II, 12 product groups, four monthly cutoffs (see `retail`). A pair (customer, group) is whitespace where
the customer, who bought in the 12 months up to the cutoff, bought nothing of the group then; the label is a purchase in
(c, c + 90 days]. Each who scores all pairs in a process of its own, from a file that ends with the last cutoff, and a
peer sees lines up to the cutoff alone; its models learn from cutoffs c' with c' + 90 days <= c. Labels stay here.

capture10: the share of the whitespace buyers found in the tenth of whitespace pairs with the highest scores; pairs that
tie at the edge count by the share that still fits. Its interval and that of `gain` (capture10 of ours less that of this
row's who; of lightgbm where ours is not there) are 95% percentiles of 1,000 bootstraps that draw whole customers, the
same for everyone. auc, pr_auc, lift10 and, for probabilities, brier and calibration_mae (mean |predicted - found| over
10 bins of equal count) are of all pairs, where repeat pairs are the easy part: hence auc_whitespace, auc_repeat and
calibration_mae_whitespace. `mean` is over the cutoffs, `all` the cost of them together.

Settings of ours, ALS and LightGBM were chosen by capture10 on the cutoffs 2010-12-31, 2011-01-31 and 2011-02-28, whose labels
ended before the first cutoff of the table; `--cutoffs` runs others than those four.

The last block expects ours to find 1.33 times the whitespace buyers of the best naive ranking, with the gain's interval
above 0, at three cutoffs; more than LightGBM in the mean; calibration within .02, .02 and (the fourth) .04.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

import retail
from common import CaseFailed, Check, Row, data_dir, expect, measure, parser, print_table, write_json

BENCHMARK, OURS = "whitespace", "foreproof"
CUTOFFS = retail.month_ends(date(2011, 5, 31), date(2011, 8, 31))
NAIVE = ("popularity", "recency", "popularity_x_frequency")
REPLICATES, SHARE, BINS, SEED = 1_000, 0.1, 10, 1
QUICK = 400
"""Customers of a short run."""
FACTORS, REGULARIZATION, ITERATIONS, ALPHA = 128, 30.0, 15, 1.0
BOOSTING = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_child_samples": 100,
    "n_estimators": 100,
}

PLAN = {
    "schema": 1,
    "name": "whitespace",
    "workload": "propensity",
    "seed": SEED,
    "tables": {
        "lines": {
            "key": ["customer", "sku", "day"],
            "happened": "day",
            "known": "same_as_happened",
            "columns": {
                "customer": "text",
                "sku": "text",
                "grp": "text",
                "money": {"type": "decimal", "decimals": 2},
            },
        }
    },
    "pairs": {
        "table": "lines",
        "account": "customer",
        "group": "grp",
        "product": "sku",
        "value": "money",
        "active": 365,
        "owned": 365,
    },
    "horizon": 90,
    "models": [{"boost": {"leaves": 7, "least": 100, "trees": 120, "rate": 0.05}}],
    "backtest": {"origins": 1, "every": 45, "calibrations": 4, "examples": 6, "stride": 45},
}

Floats = npt.NDArray[np.float64]


# --- what is measured: each writes customer, grp, cutoff, score of the asked pairs to `out` --------------------------


def foreproof(bought: str, asked: str, out: str) -> dict[str, Any]:
    """Ours: the propensity workload with its default features, members and calibrators, one build for all cutoffs."""
    import forecast
    from foreproof.core.plan import plan_of
    from foreproof.core.table import parse
    from foreproof.core.view import Database
    from foreproof.engine.line import Bench
    from foreproof.engine.pairs import pair_builder
    from foreproof.workloads.propensity import parse_propensity

    plan = parse_propensity(plan_of(PLAN))
    lines = pl.read_parquet(bought).with_columns(
        pl.col("customer", "grp", "sku").cast(pl.String), pl.col("money").round(2)
    )
    database = Database({"lines": parse(plan.contracts[0], lines, now=None)})
    pairs = pl.read_parquet(asked)
    days = {plan.task.series.grid.add(at(day), 0): day for day in pairs["cutoff"].unique().sort().to_list()}
    bench = Bench(forecast.Kept(), workers=1, progress=forecast.Silent())
    served = pair_builder(plan, bench)(database, tuple(days), plan.plan.seed).forecasts.detail
    said = pl.concat(
        [
            one.rows.select("customer", "grp", pl.lit(days[cutoff]).alias("cutoff"), pl.col("p").alias("score"))
            for cutoff, one in served.items()
        ]
    )
    names = {name: pl.col(name).cast(pairs.schema[name]) for name in ("customer", "grp")}
    scored = pairs.select(*retail.PAIR).join(said.with_columns(**names), on=list(retail.PAIR), how="left")
    scored.select(*retail.PAIR, pl.col("score").fill_null(0.0)).write_parquet(out)
    return {"probability": True}


def at(day: date) -> datetime:
    """Noon of a day: the grid finds its last instant."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def peer(bought: str, asked: str, out: str, who: str) -> dict[str, Any]:
    """One of PEERS, cutoff by cutoff, on lines up to it."""
    lines, parts = pl.read_parquet(bought), []
    for wanted in pl.read_parquet(asked).partition_by("cutoff"):
        cutoff = wanted["cutoff"][0]
        past = lines.filter(pl.col("day") <= cutoff)
        score = PEERS[who].score(past, wanted, cutoff)
        parts.append(wanted.select(*retail.PAIR, score=pl.Series(score, dtype=pl.Float64)))
    pl.concat(parts).write_parquet(out)
    return {"probability": PEERS[who].probability}


def popularity(past: pl.DataFrame, asked: pl.DataFrame, cutoff: date) -> pl.Series:
    """Buyers of the group in (cutoff - 90, cutoff]."""
    recent = past.filter((pl.lit(cutoff) - pl.col("day")).dt.total_days() < 90)
    buyers = recent.group_by("grp").agg(n=pl.col("customer").n_unique())
    return asked.join(buyers, on="grp", how="left", maintain_order="left")["n"].fill_null(0).cast(pl.Float64)


def recency(past: pl.DataFrame, asked: pl.DataFrame, cutoff: date) -> pl.Series:
    """Who bought last comes first; among equals the popularity of the group."""
    last = past.group_by("customer").agg(pl.col("day").max())
    days = (pl.lit(cutoff) - pl.col("day")).dt.total_days()
    since = asked.join(last, on="customer", how="left", maintain_order="left").select(days).to_series()
    popular = popularity(past, asked, cutoff)
    return popular / (1.0 + (popular.max() or 0.0)) - since


def popularity_x_frequency(past: pl.DataFrame, asked: pl.DataFrame, cutoff: date) -> pl.Series:
    """Buyers of the group in 90 days times active days of the customer in (cutoff - 365, cutoff]."""
    year = past.filter((pl.lit(cutoff) - pl.col("day")).dt.total_days() < retail.YEAR)
    days = year.group_by("customer").agg(n=pl.col("day").n_unique())
    active = asked.join(days, on="customer", how="left", maintain_order="left")["n"].fill_null(0)
    return popularity(past, asked, cutoff) * active


def als(past: pl.DataFrame, asked: pl.DataFrame, cutoff: date) -> Floats:
    """Implicit ALS (Hu, Koren & Volinsky 2008) on customer x product, log(1 + active days) of a year.

    A pair's score is the customer's factor times the mean factor of the group's products, weighted by their buyers.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    year = past.filter((pl.lit(cutoff) - pl.col("day")).dt.total_days() < retail.YEAR)
    counts = year.group_by("customer", "sku", "grp").agg(n=pl.col("day").n_unique()).sort("customer", "sku")
    customers, row = np.unique(counts["customer"].to_numpy(), return_inverse=True)
    skus, column = np.unique(counts["sku"].to_numpy(), return_inverse=True)
    values = np.log1p(counts["n"].to_numpy()).astype(np.float32)
    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=REGULARIZATION,
        alpha=ALPHA,
        iterations=ITERATIONS,
        num_threads=1,
        random_state=SEED,
    )
    model.fit(csr_matrix((values, (row, column)), shape=(customers.size, skus.size)), show_progress=False)
    weight = np.zeros((retail.GROUPS, skus.size))
    np.add.at(weight, (counts["grp"].to_numpy(), column), 1.0)
    centroid = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1.0) @ model.item_factors
    scores = model.user_factors @ centroid.T
    return scores[np.searchsorted(customers, asked["customer"].to_numpy()), asked["grp"].to_numpy()]


def lightgbm(past: pl.DataFrame, asked: pl.DataFrame, cutoff: date) -> Floats:
    """One LightGBM on the 27 features of all pairs at the settled cutoffs."""
    import lightgbm as library

    known = retail.task(past, retail.settled(cutoff), known=cutoff)
    train, test = retail.features(past, known), retail.features(past, asked)
    names = [name for name in train.columns if name not in (*retail.PAIR, "y", "whitespace")]
    model = library.LGBMClassifier(**BOOSTING, n_jobs=1, verbosity=-1, random_state=SEED, deterministic=True)
    code = [names.index("group_code")]
    model.fit(_matrix(train, names), train["y"].to_numpy(), feature_name=names, categorical_feature=code)
    ordered = asked.join(test, on=list(retail.PAIR), how="left", maintain_order="left")
    return model.booster_.predict(_matrix(ordered, names))


def _matrix(frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    return frame.select(pl.col(names).cast(pl.Float64)).to_numpy()


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer: how it scores the asked pairs of one cutoff, whose library it is, and whether scores are probabilities."""

    score: Callable[[pl.DataFrame, pl.DataFrame, date], Any]
    library: str | None = None
    probability: bool = False


PEERS = {
    "popularity": Peer(popularity),
    "recency": Peer(recency),
    "popularity_x_frequency": Peer(popularity_x_frequency),
    "implicit.ALS": Peer(als, "implicit"),
    "lightgbm": Peer(lightgbm, "lightgbm", probability=True),
}


# --- scoring ----------------------------------------------------------------------------------------------------------


def capture(score: Floats, y: Floats, weights: Floats | None = None, *, share: float = SHARE) -> Floats:
    """R: the share of the positives among the top `share` of n pairs, by score; a tie at the edge counts by what fits.

    score, y: n; weights: R x n, how often each pair is drawn (one row of ones without it). NaN without positives.
    """
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0.0])
    w = np.ones((1, score.size)) if weights is None else weights[:, order]
    size = np.add.reduceat(w, starts, axis=1)
    found = np.add.reduceat(w * y[order], starts, axis=1)
    room = share * size.sum(axis=1, keepdims=True) - (np.cumsum(size, axis=1) - size)
    part = np.divide(np.clip(room, 0.0, size), size, out=np.zeros_like(size), where=size > 0.0)
    total = found.sum(axis=1)
    return np.divide((part * found).sum(axis=1), total, out=np.full(total.shape, np.nan), where=total > 0.0)


def captures(scores: dict[str, Floats], y: Floats, customer: npt.NDArray[Any], *, replicates: int) -> dict[str, Floats]:
    """1 + R by who: capture10 as it is, then of R bootstraps that draw as many customers as there are, for all the same."""
    code = np.unique(customer, return_inverse=True)[1]
    many = int(code.max()) + 1
    rng = np.random.default_rng(SEED)
    parts: dict[str, list[Floats]] = {who: [capture(score, y)] for who, score in scores.items()}
    for start in range(0, replicates, 50):
        drawn = rng.multinomial(many, np.full(many, 1.0 / many), size=min(50, replicates - start))
        weights = drawn[:, code].astype(np.float64)
        for who, score in scores.items():
            parts[who].append(capture(score, y, weights))
    return {who: np.concatenate(part) for who, part in parts.items()}


def calibration_mae(p: Floats, y: Floats, *, bins: int = BINS) -> float:
    """Mean |mean p - mean y| over bins of equal count by p."""
    order = np.argsort(p, kind="stable")
    halves = (np.array_split(values[order], bins) for values in (p, y))
    return float(np.mean([abs(a.mean() - b.mean()) for a, b in zip(*halves, strict=True) if a.size]))


def _pooled(score: Floats, y: Floats, whitespace: npt.NDArray[np.bool_], *, probability: bool) -> dict[str, float]:
    """The figures that need no bootstrap; NaN where pairs are of one label alone."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    def auc(mask: npt.NDArray[np.bool_]) -> float:
        return float(roc_auc_score(y[mask], score[mask])) if np.unique(y[mask]).size == 2 else np.nan

    found = {
        "auc_whitespace": auc(whitespace),
        "auc_repeat": auc(~whitespace),
        "auc": auc(np.ones_like(whitespace)),
        "pr_auc": float(average_precision_score(y, score)),
        "lift10": float(capture(score, y)[0]) / SHARE,
    }
    if probability:
        found["calibration_mae"] = calibration_mae(score, y)
        found["calibration_mae_whitespace"] = calibration_mae(score[whitespace], y[whitespace])
        found["brier"] = float(np.mean((score - y) ** 2))
    return found


def scored(
    case: str, truth: pl.DataFrame, scores: dict[str, Floats], chances: set[str], *, replicates: int
) -> list[Row]:
    """Everybody's figures at one cutoff. truth: pairs with y and whitespace; scores: by who, in its order."""
    white = truth["whitespace"].to_numpy()
    y, few = truth["y"].to_numpy().astype(np.float64), int(white.sum())
    counts = {"auc_whitespace": few, "calibration_mae_whitespace": few, "auc_repeat": white.size - few}
    drawn = captures(
        {who: score[white] for who, score in scores.items()},
        y[white],
        truth["customer"].to_numpy()[white],
        replicates=replicates,
    )
    base = next((who for name in (OURS, "lightgbm") for who in scores if who.startswith(name)), None)
    rows = []
    for who, score in scores.items():
        rows += _interval(drawn[who], "capture10", (case, who), "ratio", few)
        if base is not None and who != base:
            rows += _interval(drawn[base] - drawn[who], "gain", (case, who), f"{base} less this", few)
        pooled = _pooled(score, y, white, probability=who in chances)
        rows += [
            Row(BENCHMARK, case, who, name, value, "ratio", counts.get(name, white.size))
            for name, value in pooled.items()
        ]
    return rows


def _interval(drawn: Floats, metric: str, where: tuple[str, str], unit: str, n: int) -> list[Row]:
    """The figure, which comes first in `drawn`, and the central 95% of those that were drawn again."""
    low, high = np.nanquantile(drawn[1:], [0.025, 0.975])
    named = ((metric, drawn[0]), (f"{metric}_low", low), (f"{metric}_high", high))
    return [Row(BENCHMARK, *where, name, float(value), unit, n) for name, value in named]


def means(rows: Sequence[Row]) -> list[Row]:
    """Mean over cutoffs of each who's capture10, and at how many of them ours is ahead of the naive rankings."""
    figures = {(row.case, row.who, row.metric): row.value for row in rows}
    cases = list(dict.fromkeys(row.case for row in rows))
    found = []
    for who in dict.fromkeys(row.who for row in rows):
        values = [figures[case, who, "capture10"] for case in cases]
        found.append(Row(BENCHMARK, "mean", who, "capture10", float(np.mean(values)), "ratio", len(cases)))
    if any(row.who == OURS for row in rows):
        ahead = 0
        for case in cases:
            rivals = [who for who in NAIVE if (case, who, "gain_low") in figures]
            best = max(rivals, key=lambda who: figures[case, who, "capture10"], default=None)
            if best is not None:
                theirs = figures[case, best, "capture10"]
                ratio = figures[case, OURS, "capture10"] / theirs if theirs else np.inf
                found.append(Row(BENCHMARK, case, OURS, "capture10_over_naive", ratio, "ratio", 1))
                ahead += ratio >= 1.33 and figures[case, best, "gain_low"] > 0.0
        found.append(Row(BENCHMARK, "mean", OURS, "ahead_of_naive", float(ahead), "cutoffs", len(cases)))
    return found


def checks(rows: Sequence[Row]) -> list[Check]:
    """Ahead of the naive at three cutoffs, of LightGBM in the mean, and calibrated."""
    found = [Check("mean", "ahead_of_naive", low=3)]
    for row in rows:
        if row.case == "mean" and row.metric == "capture10" and row.who.startswith("lightgbm"):
            found.append(Check("mean", "capture10", low=float(np.nextafter(row.value, 1.0))))
    bounds = {f"{CUTOFFS[i]}": high for i, high in ((0, 0.02), (1, 0.02), (3, 0.04))}
    asked = {row.case for row in rows}
    return found + [Check(case, "calibration_mae", high=high) for case, high in bounds.items() if case in asked]


def _measured(who: str, bought: Path, asked: Path, out: Path) -> Any:
    given = {"bought": str(bought), "asked": str(asked), "out": str(out)}
    return measure("whitespace:foreproof", **given) if who == OURS else measure("whitespace:peer", **given, who=who)


def run(options: argparse.Namespace, folder: Path) -> list[Row]:
    """Everybody on all cutoffs."""
    bought = retail.purchases(folder)
    if options.quick:
        ids = bought["customer"].unique().sort().sample(QUICK, seed=SEED)
        bought = bought.filter(pl.col("customer").is_in(ids.implode()))
    truth = retail.task(bought, options.cutoffs)
    scores: dict[str, Any] = {}
    chances, costs = set(), []
    with tempfile.TemporaryDirectory() as name:
        lines, asked, out = (Path(name) / f"{part}.parquet" for part in ("bought", "asked", "out"))
        bought.filter(pl.col("day") <= max(options.cutoffs)).write_parquet(lines)
        truth.drop("y").write_parquet(asked)
        for who in options.who:
            try:
                label = labelled(who)
                done = _measured(who, lines, asked, out)
            except metadata.PackageNotFoundError as error:
                print(f"{who}: skipped: {error}", flush=True)
                continue
            except CaseFailed as error:
                print(f"{who}: failed and has no figures: {error}", flush=True)
                continue
            if "skipped" in done.result:
                print(f"{who}: skipped: {done.result['skipped']}", flush=True)
                continue
            scores[label] = aligned(truth, pl.read_parquet(out), label)
            chances |= {label} if done.result["probability"] else set()
            costs += done.rows(BENCHMARK, "all", label, n=truth.height)
    rows = []
    replicates = 100 if options.quick else REPLICATES
    for cutoff in options.cutoffs:
        at = (truth["cutoff"] == cutoff).to_numpy()
        part = {who: score[at] for who, score in scores.items()}
        rows += scored(f"{cutoff}", truth.filter(at), part, chances, replicates=replicates)
    return [*rows, *means(rows), *costs]


def aligned(truth: pl.DataFrame, given: pl.DataFrame, who: str) -> Floats:
    """The scores in the order of `truth`; ends the program where a pair has none or two."""
    joined = truth.join(given, on=list(retail.PAIR), how="left", maintain_order="left")
    score = joined["score"].cast(pl.Float64).to_numpy()
    if joined.height != truth.height or not np.isfinite(score).all():
        raise SystemExit(f"{who}: wanted one finite score for each of {truth.height} pairs")
    return score


def labelled(who: str) -> str:
    """A peer with its library's version."""
    library = PEERS[who].library if who in PEERS else None
    return who if library is None else f"{who} {metadata.version(library)}"


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; cutoffs as dates, an unknown who refused in words."""
    arguments = parser((__doc__ or "").splitlines()[0])
    arguments.add_argument("--cutoffs", default=",".join(map(str, CUTOFFS)), help="scored cutoffs, separated by commas")
    arguments.add_argument("--who", default=",".join((OURS, *PEERS)), help="who scores, separated by commas")
    chosen = arguments.parse_args(words)
    try:
        chosen.cutoffs = sorted({date.fromisoformat(word) for word in chosen.cutoffs.split(",")})
    except ValueError as error:
        arguments.error(f"--cutoffs: {error}")
    chosen.who = list(dict.fromkeys(filter(None, chosen.who.split(","))))
    unknown = [who for who in chosen.who if who not in (OURS, *PEERS)]
    if unknown or not chosen.who:
        known = ", ".join((OURS, *PEERS))
        arguments.error(f"--who: found {', '.join(unknown) or 'nothing'}, wanted some of {known}")
    return chosen


def main() -> int:
    options = options_of()
    folder = data_dir(options)
    absent = [name for name in retail.FILES if not (folder / name).is_file()]
    if absent:
        print(f"data: no {', '.join(absent)} in {folder}; see docs/benchmarks.md")
        return 2
    rows = run(options, folder)
    most = {(row.case, row.who): row.n for row in sorted(rows, key=lambda row: row.n)}
    print_table(replace(row, n=most[row.case, row.who]) for row in rows)  # one line each, whatever a figure rests on
    write_json(rows, options.json)
    return expect(rows, checks(rows))


if __name__ == "__main__":
    sys.exit(main())
