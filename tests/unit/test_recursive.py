"""Fed with the truth, a recursive model sees at each step what the compiler would have made at a later cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from foreproof.app.progress import Silent
from foreproof.core.model import Frame, Now, Past
from foreproof.core.plan import plan_of
from foreproof.core.recipe import Recipe
from foreproof.core.view import Database, Table
from foreproof.engine.build import builder
from foreproof.engine.line import Bench
from foreproof.errors import BadInput, PlanError
from foreproof.features.recursion import recipes_of
from foreproof.models import ByClass, GlobalBoost, parse_models
from foreproof.models.members import with_recipes
from foreproof.models.recursive import unrolled
from foreproof.workloads.forecast import ForecastPlan, column_of, parse_forecast
from member_series import STEPS, by_series, target

PLAN: dict[str, Any] = {
    "schema": 1,
    "name": "recursion",
    "workload": "forecast",
    "tables": {
        "sales": {
            "key": ["sku", "t"],
            "happened": {"column": "t", "period": "integer"},
            "known": "same_as_happened",
            "columns": {"sku": "text", "y": "decimal"},
        }
    },
    "series": {"table": "sales", "by": ["sku"], "value": "y", "every": "integer", "gap": "zero"},
    "horizon": 6,
    "season": 4,
    "backtest": {"origins": 1, "calibrations": 1, "every": 6, "examples": 8, "stride": 1},
    "models": ["seasonal_naive", {"boost": {"strategy": "recursive", "trees": 20}}],
}
MORE = [
    {"default": True},
    {"rolling": ["min", "max", "sum", "std", "nonzero"], "window": [3, 9], "lag": 2},
    {"seasonal_rolling": ["std", "max"], "season": 4, "count": 3},
    {"lag": [7], "anchor": "target"},
    {"difference": [4], "lag": 1},
]


class Memory:
    """A step store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, pl.DataFrame]] = {}

    def get(self, key: str) -> Mapping[str, pl.DataFrame] | None:
        return self.kept.get(key)

    def put(self, key: str, frames: Mapping[str, pl.DataFrame]) -> None:
        self.kept[key] = frames


def plan(**changes: Any) -> ForecastPlan:
    return parse_forecast(plan_of({**PLAN, **changes}))


def truth() -> dict[str, dict[int, float]]:
    """Three series; one starts late, one is mostly zero."""
    rng = np.random.default_rng(5)
    long = {t: float(round(20 + 6 * np.sin(np.pi * t / 2) + rng.normal())) for t in range(60)}
    late = {t: float(rng.integers(1, 9)) for t in range(38, 60)}
    return {"long": long, "late": late, "rare": {t: float((t % 5 == 0) * (t + 1)) for t in range(60)}}


def database(parsed: ForecastPlan) -> Database:
    rows = [(sku, y, t, t, 1, False) for sku, values in truth().items() for t, y in values.items()]
    columns = ["sku", "y", "_happened", "_known", "_batch", "_deleted"]
    return Database({"sales": Table(parsed.contracts[0], pl.DataFrame(rows, schema=columns, orient="row"))})


def built(parsed: ForecastPlan, cutoffs: tuple[int, ...]) -> Any:
    return builder(parsed, Bench(Memory(), 1, Silent()))(database(parsed), cutoffs, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("features", ["default", MORE], ids=["default", "more"])
def test_fed_with_the_truth_the_rows_are_those_of_later_cutoffs(features: Any) -> None:
    parsed, first = plan(features=features), 44
    later = built(parsed, tuple(range(first, first + 6))).rows
    y = truth()

    def ahead(part: pl.DataFrame) -> Any:
        names = part.select("sku", "cutoff", "step").rows()
        return np.array([y[sku][cutoff + step] for sku, cutoff, step in names])

    boost = parsed.models[1]
    assert isinstance(boost, GlobalBoost)
    now = Now(parsed.task.frame, first, parsed.task.panel(database(parsed)).target(first), pl.DataFrame)
    found = unrolled(now, later.filter(pl.col("cutoff") == first), boost.recipes, ahead)
    # What the truth would have been: the rows of step 1 at the cutoff one step before.
    at = pl.col("cutoff") + 1 - first
    expected = later.filter(pl.col("step") == 1).with_columns(step=at, cutoff=pl.lit(first, dtype=pl.Int64))
    columns = ["sku", "step", *(recipe.column for recipe in boost.recipes)]
    assert len(columns) > 15
    left, right = (frame.sort("sku", "step").select(columns) for frame in (found, expected))
    for name in columns[2:]:
        assert left[name].to_numpy() == pytest.approx(right[name].to_numpy(), rel=1e-9, abs=1e-9, nan_ok=True), name


def test_a_recursive_plan_serves_every_step() -> None:
    parsed = plan()
    served = built(parsed, (44,)).forecasts.detail[44]
    boost = served.member_rows.filter(pl.col("model") == "boost")
    assert boost.height == 3 * 6
    direct = built(plan(models=["seasonal_naive", {"boost": {"trees": 20}}]), (44,)).forecasts.detail[44].member_rows
    assert not boost["value"].equals(direct.filter(pl.col("model") == "boost")["value"])


def test_a_feature_that_cannot_be_computed_anew_is_named() -> None:
    features = [{"lag": [1]}, {"rolling": ["mean"], "window": [7], "of": "sales.y", "aggregate": "mean"}]
    with pytest.raises(PlanError, match=r"features: rolling_mean_7_of_sales_y_mean.*strategy: direct"):
        plan(features=features)
    assert plan(features=features, models=["seasonal_naive", "boost"]).models[1] == GlobalBoost()


def test_a_model_inside_another_gets_its_recipes_too() -> None:
    inner = GlobalBoost(strategy="recursive")
    (found,) = with_recipes([ByClass(lumpy=inner)], lambda: recipes_of(plan().features, column_of))
    assert isinstance(found, ByClass)
    assert isinstance(found.lumpy, GlobalBoost)
    assert {recipe.column for recipe in found.lumpy.recipes} >= {"y_lag_0", "y_rolling_mean_4", "ratio_4_16", "age"}


# --- a model by itself -----------------------------------------------------------------------------------------------

FRAME = Frame(("id",), STEPS, 5, 1)


def rows(y: dict[str, list[float]], cutoffs: list[int], *, label: bool) -> pl.DataFrame:
    found = []
    for name, values in y.items():
        for cutoff in cutoffs:
            past = values[: len(values) + cutoff] if cutoff < 0 else values
            for step in range(1, FRAME.horizon + 1):
                row: dict[str, Any] = {"id": name, "cutoff": cutoff, "step": step, "y_lag_0": past[-1]}
                row |= {"y_lag_1": past[-2], "y_scale": sum(past) / len(past)}
                if label and cutoff + step <= 0:
                    row["label"] = values[len(values) - 1 + cutoff + step]
                if not label or "label" in row:
                    found.append(row)
    return pl.DataFrame(found, infer_schema_length=None)


RECIPES = (Recipe("y_lag_0", "value", (0,)), Recipe("y_lag_1", "value", (1,)))


def fitted(model: GlobalBoost, y: dict[str, list[float]]) -> tuple[Any, Now]:
    learned, current = rows(y, list(range(-30, 0)), label=True), rows(y, [0], label=False)
    past = Past(FRAME, 0, target(y), lambda: learned)
    return model.fit(past, seed=1), Now(FRAME, 0, target(y), lambda: current)


def beat(n: int, unit: float) -> list[float]:
    """1, 2, 3, 1, 2, 3: the next value follows from the last two alone."""
    return [unit * (1 + t % 3) for t in range(n)]


Y = {"a": beat(60, 1.0), "b": beat(61, 10.0), "c": beat(62, 100.0)}


def test_a_recursive_model_goes_on_from_its_own_predictions() -> None:
    model = GlobalBoost(trees=80, least=1, relative=False, strategy="recursive", recipes=RECIPES)
    learned, now = fitted(model, Y)
    found = by_series(learned.predict(now))
    for name, values in Y.items():
        unit = min(values)
        assert found[name] == pytest.approx([unit * (1 + (len(values) + s) % 3) for s in range(5)], rel=0.15)
    parts = learned.contributions(now)
    total = parts.select(pl.sum_horizontal(pl.all().exclude("id", "cutoff", "step"))).to_series().to_numpy()
    assert total == pytest.approx(learned.predict(now).canonical()["value"].to_numpy(), rel=1e-9)


def test_a_recursive_model_learns_from_the_first_step_alone() -> None:
    model = GlobalBoost(trees=20, strategy="recursive", recipes=RECIPES)
    learned, _ = fitted(model, Y)
    only = rows(Y, list(range(-30, 0)), label=True).filter(pl.col("step") == 1)
    again = model.fit(Past(FRAME, 0, target(Y), lambda: only), seed=1)
    assert dict(again.dump()) == dict(learned.dump())


def test_a_column_without_a_recipe_is_refused() -> None:
    with pytest.raises(BadInput, match="rows: y_lag_1: a column of the target without a recipe"):
        fitted(GlobalBoost(trees=5, strategy="recursive", recipes=RECIPES[:1]), Y)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_quantile_loss_aims_at_its_level(level: float) -> None:
    rng = np.random.default_rng(1)
    y = {f"s{i}": [float(v) for v in 50 + 10 * rng.normal(size=80)] for i in range(12)}
    learned, _ = fitted(GlobalBoost(trees=40, leaves=4, loss="quantile", level=level, relative=False), y)
    asked = rows(y, list(range(-30, -5)), label=True)
    below = 0
    for cutoff in asked["cutoff"].unique().sort():
        part = asked.filter(pl.col("cutoff") == cutoff).drop("label")
        now = Now(FRAME, cutoff, target({n: v[: len(v) + cutoff] for n, v in y.items()}, ends=cutoff), lambda p=part: p)
        joined = learned.predict(now).rows.join(asked, on=["id", "cutoff", "step"])
        below += joined.filter(pl.col("label") <= pl.col("value")).height
    assert below / asked.height == pytest.approx(level, abs=0.08)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 0.9}, r"boost.level: a level for loss l1.*loss: quantile"),
        ({"loss": "quantile", "level": 1.5}, r"boost.level: 1.5"),
        ({"strategy": "recursive", "blocks": 2}, r"boost.blocks: blocks of steps"),
        ({"strategy": "both"}, r"boost.strategy: 'both'"),
    ],
)
def test_wrong_settings_are_named(settings: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_models([{"boost": settings}])
