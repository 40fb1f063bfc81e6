"""A scenario beside the baseline, from the same cutoff and examples: what changes in units, money and orders, and how
sure.

Only rows of the coming steps differ, so every fit at an earlier cutoff is found again, and the fit at the cutoff
learns from the same examples with the same seed: it is the same fit.

The interval of the difference holds what the members do not know about the effect: those that read the rows are
learned again on bootstrap draws of their example cutoffs (Efron & Tibshirani 1993), each draw predicts both sides,
and the differences spread. It does not hold what no history shows: see the support.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.decide import Floats
from foreproof.core.distribution import student_quantile
from foreproof.core.model import Model, Now, Past
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.scenario import Scenario, apply, check_scenario
from foreproof.core.view import Database
from foreproof.engine.build import Inputs, builder, inputs_at
from foreproof.engine.decide import decide
from foreproof.engine.line import Bench
from foreproof.engine.serve import Served
from foreproof.errors import BadInput
from foreproof.features.ahead import Ahead
from foreproof.workloads.forecast import ForecastPlan

DRAWS = 8


@dataclass(frozen=True, slots=True)
class Effect:
    """units: how many more over the horizon, all series together, with a 95% interval; money: the same in money, None
    without a
    price.
    """

    units: float
    low: float
    high: float
    money: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A scenario against the baseline. Frames are sorted.

    path: entity columns, `step`, `at` levels of both: `baseline`, `scenario`, `difference` (points, units). series:
    entity columns, `baseline`, `scenario`, `difference`, `low`, `high`, over the horizon. window: the same over the
    steps that an order covers. orders: entity columns, `baseline`, `scenario`, `difference` (units ordered); no
    columns without `decision:`. support: `override`, `feature`, `asked_low`, `asked_high`, `seen_low`, `seen_high`,
    `examples`, `as_extreme`, `share`, `words`. rows: the scenario's forecast, points and quantiles.
    """

    scenario: Scenario
    effect: Effect
    path: pl.DataFrame
    series: pl.DataFrame
    window: pl.DataFrame
    orders: pl.DataFrame
    support: pl.DataFrame
    rows: pl.DataFrame
    baseline_rows: pl.DataFrame

    @property
    def warnings(self) -> list[str]:
        """What the scenario asks that no example shows."""
        return self.support.filter(pl.col("as_extreme") == 0)["words"].to_list()


def compare(
    plan: ForecastPlan,
    database: Database,
    scenario: Scenario,
    *,
    cutoff: Moment,
    bench: Bench,
    price: float | None = None,
) -> Compared:
    """Serve both from the cutoff and say what differs.

    price: money that a unit more brings; without it what a unit short costs, where the plan says so by a number.
    Raises BadInput for a scenario that the contracts do not allow, that changes no row, or that no feature reads.
    """
    check_scenario(scenario, plan.contracts, horizon=plan.task.horizon)
    _check_read(plan, scenario)
    other = apply(database, scenario, cutoff=cutoff, grid=plan.task.series.grid)
    build, seed = builder(plan, bench), plan.plan.seed
    one, two = (build(data, (cutoff,), seed).forecasts.detail[cutoff] for data in (database, other))
    before, after = inputs_at(plan, database, cutoff), inputs_at(plan, other, cutoff)
    path = _path(plan, one, two)
    draws = _draws(plan, before, after, cutoff, one)
    series = _series(plan, path, draws, last=plan.task.horizon)
    cover = plan.ordering.cover if plan.ordering else plan.task.horizon
    return Compared(
        scenario=scenario,
        effect=_effect(plan, path, draws, price),
        path=path,
        series=series,
        window=_series(plan, path, draws, last=cover),
        orders=_orders(plan, database, one, two, cutoff),
        support=_support(plan, scenario, before, after),
        rows=two.rows,
        baseline_rows=one.rows,
    )


def _check_read(plan: ForecastPlan, scenario: Scenario) -> None:
    read = {(f.table, f.column) for f in plan.features if isinstance(f, Ahead)}
    for one in scenario.overrides:
        if (one.table, one.column) not in read:
            raise BadInput(
                f"scenario {scenario.name}",
                found=f"{one.table}.{one.column}, which no feature reads",
                wanted="a column that the forecast depends on",
                fix=f"add {{ahead: {one.table}.{one.column}}} to features:",
            )
    if not any(model.reads_rows for model in plan.models):
        raise BadInput("models", found="none that reads features", wanted="one, such as boost", fix="add boost")


def _path(plan: ForecastPlan, one: Served, two: Served) -> pl.DataFrame:
    index = [*plan.task.entity, STEP]
    points = [
        served.rows.filter(pl.col(LEVEL).is_null()).select(*index, pl.col(VALUE).alias(name))
        for served, name in ((one, "baseline"), (two, "scenario"))
    ]
    joined = points[0].join(points[1], on=index, how="inner").sort(index)
    return joined.with_columns((pl.col("scenario") - pl.col("baseline")).alias("difference"))


def _draws(plan: ForecastPlan, before: Inputs, after: Inputs, cutoff: Moment, served: Served) -> pl.DataFrame:
    """Entity columns, `step`, `draw_0` ...: the combination's difference under each redraw of the examples."""
    task = plan.task
    index = [*task.entity, STEP]
    members = [model for model in plan.models if model.reads_rows]
    rng = np.random.default_rng(plan.plan.seed)
    cutoffs = before.examples[CUTOFF].unique().sort()
    found = before.rows.select(index).sort(index)
    for k in range(DRAWS):
        drawn = cutoffs[np.sort(rng.integers(0, len(cutoffs), len(cutoffs)))] if len(cutoffs) else cutoffs
        examples = drawn.to_frame().join(before.examples, on=CUTOFF, how="inner", maintain_order="left_right")
        total = pl.lit(0.0)
        for model in members:
            change = _change(model, plan, cutoff, (before, after), examples)
            name = f"_{model.name}"
            found = found.join(change.rename({"_change": name}), on=index, maintain_order="left")
            total = total + pl.col(name) * served.weights.get(model.name, 0.0)
        found = found.with_columns(total.alias(f"draw_{k}")).drop(f"_{model.name}" for model in members)
    return found


def _change(
    model: Model, plan: ForecastPlan, cutoff: Moment, sides: tuple[Inputs, Inputs], examples: pl.DataFrame
) -> pl.DataFrame:
    """Entity columns, `step`, `_change`: what one fit on these examples predicts for the second side less for the first."""
    frame, index = plan.task.frame, [*plan.task.entity, STEP]
    fitted = model.fit(Past(frame, cutoff, sides[0].target, lambda: examples), seed=plan.plan.seed)
    one, two = (
        fitted.predict(_now(plan, cutoff, side)).rows.select(*index, pl.col(VALUE).alias(name))
        for side, name in zip(sides, ("_a", "_b"), strict=True)
    )
    return one.join(two, on=index).select(*index, (pl.col("_b") - pl.col("_a")).alias("_change"))


def _now(plan: ForecastPlan, cutoff: Moment, side: Inputs) -> Now:
    return Now(plan.task.frame, cutoff, side.target, lambda: side.rows)


def _spread(draws: Floats) -> Floats:
    """Half the width of a 95% interval, from B draws a row: t(B - 1) times their standard deviation."""
    many = draws.shape[-1]
    wide: Floats = student_quantile(0.975, many - 1) * np.std(draws, axis=-1, ddof=1)
    return wide


def _series(plan: ForecastPlan, path: pl.DataFrame, draws: pl.DataFrame, *, last: int) -> pl.DataFrame:
    entity, names = list(plan.task.entity), [f"draw_{k}" for k in range(DRAWS)]
    both = path.join(draws, on=[*entity, STEP], how="left", maintain_order="left").filter(pl.col(STEP) <= last)
    columns = ["baseline", "scenario", "difference", *names]
    sums = (
        both.group_by(entity, maintain_order=True).agg(pl.col(columns).sum()) if entity else both.select(columns).sum()
    )
    half = pl.Series("_half", _spread(sums.select(names).to_numpy()))
    sums = sums.with_columns(half).with_columns(
        (pl.col("difference") - pl.col("_half")).alias("low"), (pl.col("difference") + pl.col("_half")).alias("high")
    )
    return sums.select(*entity, "baseline", "scenario", "difference", "low", "high")


def _effect(plan: ForecastPlan, path: pl.DataFrame, draws: pl.DataFrame, price: float | None) -> Effect:
    units = float(path["difference"].sum())
    totals = np.array([math.fsum(draws[f"draw_{k}"].to_list()) for k in range(DRAWS)])
    half = float(_spread(totals))
    worth = price
    if worth is None and plan.ordering is not None and not isinstance(plan.ordering.terms.short, str):
        worth = plan.ordering.terms.short
    money = None if worth is None else (worth * units, worth * (units - half), worth * (units + half))
    return Effect(units, units - half, units + half, money)


def _orders(plan: ForecastPlan, database: Database, one: Served, two: Served, cutoff: Moment) -> pl.DataFrame:
    if plan.ordering is None:
        return pl.DataFrame()
    view, entity = database.as_of(cutoff), list(plan.task.entity)
    sides = [
        decide(plan.ordering, served, view).orders.rows.select(*entity, pl.col("order").alias(name))
        for served, name in ((one, "baseline"), (two, "scenario"))
    ]
    if not entity:
        return pl.concat(sides, how="horizontal").with_columns(
            (pl.col("scenario") - pl.col("baseline")).alias("difference")
        )
    joined = sides[0].join(sides[1], on=entity, how="inner").sort(entity)
    return joined.with_columns((pl.col("scenario") - pl.col("baseline")).alias("difference"))


def _support(plan: ForecastPlan, scenario: Scenario, before: Inputs, after: Inputs) -> pl.DataFrame:
    """For each override, what it asks of the feature that reads it against the examples that were learned from."""
    index = [*plan.task.entity, STEP]
    rows = []
    for one in scenario.overrides:
        for feature in plan.features:
            if not isinstance(feature, Ahead) or (feature.table, feature.column) != (one.table, one.column):
                continue
            name = feature.name
            pairs = before.rows.select(*index, pl.col(name).alias("_a")).join(
                after.rows.select(*index, pl.col(name).alias("_b")), on=index
            )
            asked = pairs.filter(pl.col("_a").ne_missing(pl.col("_b")))["_b"].drop_nulls()
            rows.append((one.words(), name, *_seen(asked, before.examples[name].drop_nulls())))
    schema = {"override": pl.String, "feature": pl.String}
    numbers = ("asked_low", "asked_high", "seen_low", "seen_high")
    rest = {"examples": pl.Int64, "as_extreme": pl.Int64, "share": pl.Float64, "words": pl.String}
    return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(numbers, pl.Float64), **rest}, orient="row")


def _seen(asked: pl.Series, examples: pl.Series) -> tuple[object, ...]:
    """How far the asked values lie from what was learned from: the share of examples at least as extreme."""
    if not asked.len() or not examples.len():
        words = "nothing was asked that differs" if not asked.len() else "no example knows this column"
        return (None, None, None, None, examples.len(), 0 if asked.len() else examples.len(), None, words)
    low, high = (float(asked.min()), float(asked.max()))  # type: ignore[arg-type]
    middle = float(examples.median())  # type: ignore[arg-type]
    up = high - middle >= middle - low
    extreme = int((examples >= high).sum() if up else (examples <= low).sum())
    many, share = examples.len(), extreme / examples.len()
    edge = f"{high:g} or more" if up else f"{low:g} or less"
    bottom, top = float(examples.min()), float(examples.max())  # type: ignore[arg-type]
    if extreme:
        words = f"{edge} was seen in {extreme:,} of {many:,} examples"
    else:
        words = f"{edge} was never seen in {many:,} examples ({bottom:g} to {top:g}): a guess"
    return (low, high, bottom, top, many, extreme, share, words)


def words_of(compared: Compared, *, currency: str) -> list[str]:
    """What a planner would be told."""
    effect, name = compared.effect, compared.scenario.name
    total = float(compared.path["baseline"].sum())
    share = f" ({effect.units / abs(total):+.1%})" if total else ""
    said = [
        f"{name}: {effect.units:+,.0f} units over the horizon{share}, 95% interval {effect.low:+,.0f} to {effect.high:+,.0f}."
    ]
    if effect.money is not None:
        money, low, high = effect.money
        said.append(f"In money: {money:+,.0f} {currency}, {low:+,.0f} to {high:+,.0f}.")
    if compared.orders.width:
        said.append(f"Orders change by {float(compared.orders['difference'].sum()):+,.0f} units in all.")
    return [*said, *(f"Support: {words}." for words in compared.support["words"])]


def served_side(compared: Compared, entity: Sequence[str]) -> list[str]:
    """The series that change, largest change first, as one name each."""
    moved = compared.series.filter(pl.col("difference") != 0.0).sort(pl.col("difference").abs(), descending=True)
    return [" / ".join(map(str, row)) for row in moved.select(entity).rows()]


__all__ = ["DRAWS", "Compared", "Effect", "compare", "served_side", "words_of"]
