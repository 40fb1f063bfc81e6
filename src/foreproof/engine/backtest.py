"""Score forecasts at past origins: by series, step and level, against the seasonal naive and Naive2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.compare import Comparison, coverage_interval, diebold_mariano
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.core.score import mase_scale, naive2, rmsse_scale
from foreproof.core.score_table import score_table
from foreproof.core.trial import Built
from foreproof.core.view import Database
from foreproof.engine.serve import MODEL, Served
from foreproof.errors import BadInput
from foreproof.gauntlet.baseline import daily_losses
from foreproof.gauntlet.coverage import covered
from foreproof.workloads.forecast import OURS, ForecastPlan


@dataclass(frozen=True, slots=True)
class Scored:
    """What the past says of a plan.

    overall, by_step, by_series: `model` (and `step`, or entity columns), `metric`, `value`, `n`. coverage: `nominal`,
    `coverage`, `low`, `high` of ours. against: Diebold-Mariano of ours against the seasonal naive, None on too few days.
    judged: every judged prediction of every model with its truth: what the scores are made of.
    """

    overall: pl.DataFrame
    by_step: pl.DataFrame
    by_series: pl.DataFrame
    coverage: pl.DataFrame
    against: Comparison | None
    judged: pl.DataFrame

    def value(self, metric: str, *, model: str = OURS) -> float:
        """One overall score; NaN where it could not be taken."""
        found = self.overall.filter((pl.col(MODEL) == model) & (pl.col("metric") == metric))["value"]
        return float(found[0]) if found.len() and found[0] is not None else float("nan")


def backtest(plan: ForecastPlan, database: Database, built: Built, served: Mapping[Moment, Served]) -> Scored:
    """Scores of ours (with quantiles) and of each member (points) at every served cutoff whose labels are known."""
    task = plan.task
    index = [*task.entity, CUTOFF, STEP]
    truth = built.labels.filter(pl.col("y").is_not_null())
    ours = built.forecasts.predictions.with_columns(pl.lit(OURS).alias(MODEL))
    members = pl.concat([s.member_rows for s in served.values()])
    predictions = pl.concat([ours, members.select(ours.columns)]).join(truth.select(index), on=index, how="semi")
    if predictions.is_empty():
        raise BadInput(
            "backtest", found="no judged outcome", wanted="origins with known outcomes", fix="load more history"
        )
    scales, second = _scales(plan, database, list(served))
    actuals = truth.select(*index, "y").join(second, on=index, how="left")
    by: dict[str, Sequence[str]] = {"overall": [MODEL], "step": [MODEL, STEP], "series": [MODEL, *task.entity]}
    tables = {name: score_table(predictions, actuals, scales, by=columns) for name, columns in by.items()}
    losses = daily_losses(built.forecasts.predictions, built.forecasts.baseline, truth, entity=task.entity)
    return Scored(
        overall=tables["overall"],
        by_step=tables["step"],
        by_series=tables["series"],
        coverage=_coverage(plan, built),
        against=_against(losses, plan.task.horizon),
        judged=predictions.join(truth.select(*index, "target", "y"), on=index).sort([MODEL, *index, LEVEL]),
    )


def _against(losses: pl.DataFrame, horizon: int) -> Comparison | None:
    try:
        return diebold_mariano(losses["ours"].to_numpy(), losses["theirs"].to_numpy(), horizon=horizon)
    except BadInput:
        return None


def _scales(plan: ForecastPlan, database: Database, cutoffs: Sequence[Moment]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """MASE and RMSSE denominators, and the Naive2 forecast, of each series as known at each cutoff."""
    task, panel = plan.task, plan.task.panel(database)
    scales, second = [], []
    for cutoff in cutoffs:
        history = panel.target(cutoff).drop_nulls("y")
        groups = history.group_by(task.entity, maintain_order=True) if task.entity else [((), history)]
        for name, part in groups:
            past = part["y"].to_numpy()
            scales.append((*name, cutoff, mase_scale(past, task.season), rmsse_scale(past, task.season)))
            ahead = naive2(past, task.horizon, season=task.season)
            second += [(*name, cutoff, step, float(value)) for step, value in enumerate(ahead, start=1)]
    clock = {CUTOFF: pl.Int64() if task.series.grid.integer else pl.Datetime("us", "UTC")}
    text = dict.fromkeys(task.entity, pl.String())
    real = pl.Float64()
    return (
        pl.DataFrame(scales, schema={**text, **clock, "mase_scale": real, "rmsse_scale": real}, orient="row"),
        pl.DataFrame(second, schema={**text, **clock, STEP: pl.Int64(), "naive2": real}, orient="row"),
    )


def _coverage(plan: ForecastPlan, built: Built) -> pl.DataFrame:
    """Observed coverage of every central interval that the levels hold, with its exact clustered interval."""
    rows = []
    for low in (level for level in plan.levels if level < 0.5):
        if not np.any(np.isclose(plan.levels, 1 - low)):
            continue
        nominal = round(1 - 2 * low, 6)
        hits = covered(built.forecasts.predictions, built.labels, entity=plan.task.entity, nominal=nominal)
        clusters = (hits["series"].to_numpy(), hits["target"].to_physical().to_numpy())
        try:
            found = coverage_interval(hits["hit"].to_numpy(), clusters=clusters)
        except BadInput:
            continue
        rows.append((nominal, found.estimate, found.low, found.high, found.n))
    schema = {"nominal": pl.Float64, "coverage": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("nominal")


__all__ = ["Scored", "backtest"]
