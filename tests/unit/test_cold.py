"""Series without a history: forecast from their group, scaled by a static; widths from taking known ones for new."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from foreproof.app.progress import Silent
from foreproof.core.plan import plan_of
from foreproof.core.predict import Prediction
from foreproof.core.view import Database, Table
from foreproof.engine.build import builder
from foreproof.engine.line import Bench
from foreproof.engine.scale import chunkable
from foreproof.errors import BadInput, PlanError
from foreproof.gauntlet.rebuild import difference
from foreproof.models.cold import Statics, cold_start, hierarchical_quantile
from foreproof.workloads.forecast import ForecastPlan, parse_forecast

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


# --- the function ----------------------------------------------------------------------------------------------------


class World:
    """Known series of two groups whose demand is in proportion to a size, with noise on the log scale."""

    def __init__(self, *, counts: Mapping[str, int], origins: int = 3, noise: float = 0.3, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        names = [(f"{group}{i}", group) for group, count in counts.items() for i in range(count)]
        self.sizes = {name: float(rng.uniform(1, 10)) for name, _ in names}
        self.groups = dict(names)
        self.level = {"a": 2.0, "b": 20.0, "c": 5.0}
        now, past = [], []
        self.effect = {name: math.exp(noise * rng.normal()) for name, _ in names}
        for name, group in names:
            for cutoff in (-6, -3, 0)[3 - origins :] if origins < 3 else (-6, -3, 0):
                for step in (1, 2):
                    base = self.level[group] * self.sizes[name] * self.effect[name]
                    if cutoff == 0:
                        now.append((name, 0, step, None, base * step))
                    else:
                        past.append((name, cutoff, step, base * step, base * step * math.exp(0.1 * rng.normal())))
        schema = {"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "level": pl.Float64, "value": pl.Float64}
        self.known = Prediction("point", ("id",), pl.DataFrame(now, schema=schema, orient="row"))
        columns = {"id": pl.String, "cutoff": pl.Int64, "step": pl.Int64, "value": pl.Float64, "y": pl.Float64}
        self.past = pl.DataFrame(past, schema=columns, orient="row")

    def statics(self, more: Sequence[tuple[str, str | None, float | None]] = (), *, size: str = "size") -> Statics:
        rows = [(name, group, self.sizes[name]) for name, group in self.groups.items()]
        frame = pl.DataFrame(
            [*rows, *more], schema={"id": pl.String, "kind": pl.String, "size": pl.Float64}, orient="row"
        )
        return Statics(frame, ("kind",), size)

    def start(self, more: Sequence[tuple[str, str | None, float | None]], **options: Any) -> Any:
        new = pl.DataFrame({"id": [name for name, _, _ in more]})
        return cold_start(self.known, self.past, self.statics(more, **options), new=new, levels=LEVELS)


def value(found: Any, name: str, step: int, level: float | None = None) -> float:
    rows = (found.points if level is None else found.quantiles).rows.filter(
        (pl.col("id") == name) & (pl.col("step") == step)
    )
    return float((rows if level is None else rows.filter(pl.col("level") == level))["value"][0])


def naive_point(world: World, members: Sequence[str], size: float | None, step: int) -> float:
    total, weight = 0.0, 0.0
    for name, _, at, _, forecast in world.known.rows.iter_rows():
        if name in members and at == step:
            total += forecast
            weight += world.sizes[name] if size is not None else 1.0
    return total / weight * (size if size is not None else 1.0)


def naive_errors(world: World, members: Sequence[str], step: int) -> list[list[float]]:
    """For each series the log ratios at its origins, when the others of the group forecast it."""
    points = {(row[0], row[1], row[2]): row[3] for row in world.past.iter_rows()}
    came = {(row[0], row[1], row[2]): row[4] for row in world.past.iter_rows()}
    found = []
    for name in members:
        errors = []
        for cutoff in sorted({cutoff for _, cutoff, _ in points}):
            guess = {}
            for s in (1, 2):
                others = [other for other in members if other != name]
                total = sum(points[other, cutoff, s] for other in others)
                guess[s] = total * world.sizes[name] / sum(world.sizes[other] for other in others)
            offset = 0.1 * (guess[1] + guess[2]) / 2
            errors.append(math.log((came[name, cutoff, step] + offset) / (guess[step] + offset)))
        found.append(errors)
    return found


def naive_quantile(errors: Sequence[Sequence[float]], level: float) -> float | None:
    """The smallest error with enough of the weight at or below it; mirrored below one half; None where there is none."""
    if level < 0.5:
        mirrored = naive_quantile([[-e for e in each] for each in errors], 1 - level)
        return None if mirrored is None else -mirrored
    series = len(errors) + (level > 0.5)
    for candidate in sorted(e for each in errors for e in each):
        weight = sum(sum(e <= candidate for e in each) / len(each) for each in errors)
        if weight >= level * series - 1e-9:
            return candidate
    return None


def test_points_and_quantiles_equal_their_twins() -> None:
    world = World(counts={"a": 30, "b": 25})
    found = world.start([("new", "a", 4.0)])
    members = [name for name, group in world.groups.items() if group == "a"]
    for step in (1, 2):
        point = naive_point(world, members, 4.0, step)
        assert value(found, "new", step) == pytest.approx(point, rel=1e-12)
        offset = 0.1 * (naive_point(world, members, 4.0, 1) + naive_point(world, members, 4.0, 2)) / 2
        for level in LEVELS:
            moved = naive_quantile(naive_errors(world, members, step), level)
            assert moved is not None
            expected = (point + offset) * math.exp(moved) - offset
            assert value(found, "new", step, level) == pytest.approx(expected, rel=1e-9)
    assert found.used.rows() == [("new", "kind=a", 30, True)]


def test_twice_the_size_is_twice_the_forecast() -> None:
    found = World(counts={"a": 8}).start([("small", "a", 2.0), ("large", "a", 4.0)])
    for level in (None, *LEVELS):
        assert value(found, "large", 1, level) == pytest.approx(2 * value(found, "small", 1, level))


def test_a_small_group_falls_back_to_all_series() -> None:
    world = World(counts={"a": 8, "b": 4})
    found = world.start([("in a", "a", 1.0), ("in b", "b", 1.0), ("in c", "c", 1.0), ("nowhere", None, 1.0)])
    assert found.used.rows() == [
        ("in a", "kind=a", 8, True),
        ("in b", "", 12, True),
        ("in c", "", 12, True),
        ("nowhere", "", 12, True),
    ]


def test_without_a_size_the_group_speaks_as_it_is() -> None:
    world = World(counts={"a": 8, "b": 6})
    found = world.start([("none", "a", None), ("zero", "a", 0.0), ("sized", "a", 3.0)])
    assert found.used["scaled"].to_list() == [False, True, False]
    members = [name for name, group in world.groups.items() if group == "a"]
    assert value(found, "none", 1) == pytest.approx(naive_point(world, members, None, 1))
    assert value(found, "zero", 1) == value(found, "none", 1)
    plain = world.start([("none", "a", None), ("sized", "a", 3.0)], size="")
    assert value(plain, "sized", 1) == value(plain, "none", 1)


def test_too_few_series_speak_for_nobody() -> None:
    found = World(counts={"a": 4}).start([("new", "a", 1.0)])
    assert found.points.rows.is_empty()
    assert found.used.is_empty()


def test_intervals_cover_new_series_as_often_as_they_say() -> None:
    """Worlds drawn anew: a new series lies in its 50% interval about half the time, in its 90% interval nine in ten."""
    inside = {0.9: 0, 0.5: 0}
    worlds = 150
    for seed in range(worlds):
        world = World(counts={"a": 24}, noise=0.5, seed=seed)
        *_, last = world.groups
        truth = world.known.rows.filter((pl.col("id") == last) & (pl.col("step") == 1))["value"][0]
        rng = np.random.default_rng(10_000 + seed)
        truth *= math.exp(0.1 * rng.normal())
        others = Prediction("point", ("id",), world.known.rows.filter(pl.col("id") != last))
        past = world.past.filter(pl.col("id") != last)
        found = cold_start(others, past, world.statics(), new=pl.DataFrame({"id": [last]}), levels=LEVELS)
        for nominal, low, high in ((0.9, 0.05, 0.95), (0.5, 0.25, 0.75)):
            inside[nominal] += value(found, last, 1, low) <= truth <= value(found, last, 1, high)
    assert 0.84 <= inside[0.9] / worlds <= 0.99
    assert 0.40 <= inside[0.5] / worlds <= 0.66


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.7, 0.9])
def test_the_hierarchical_quantile_equals_its_twin(level: float) -> None:
    rng = np.random.default_rng(3)
    errors = [rng.normal(size=n) for n in (1, 4, 2, 7, 3, 3, 5, 1, 2, 6, 2, 2, 9, 1, 1, 1, 1, 1, 1, 1, 3, 4)]
    expected = naive_quantile([each.tolist() for each in errors], level)
    assert hierarchical_quantile(errors, level) == pytest.approx(expected)


def test_a_level_beyond_the_errors_lies_beyond_them() -> None:
    errors = [np.array([0.1, 0.2]), np.array([-0.3]), np.array([0.4]), np.array([0.0]), np.array([0.1])]
    assert naive_quantile([each.tolist() for each in errors], 0.95) is None
    assert hierarchical_quantile(errors, 0.95) > 0.4
    assert hierarchical_quantile(errors, 0.05) < -0.3


def test_the_order_of_rows_does_not_matter() -> None:
    world = World(counts={"a": 8, "b": 6})
    first = world.start([("new", "a", 2.0)])
    world.known = Prediction("point", ("id",), world.known.rows.reverse())
    world.past = world.past.sample(fraction=1.0, shuffle=True, seed=1)
    again = world.start([("new", "a", 2.0)])
    assert again.quantiles.canonical().equals(first.quantiles.canonical())


def test_two_rows_for_one_entity_are_refused() -> None:
    with pytest.raises(BadInput, match="two rows for one entity"):
        World(counts={"a": 8}).start([("new", "a", 2.0), ("new", "a", 3.0)])


# --- in a run --------------------------------------------------------------------------------------------------------

PLAN: dict[str, Any] = {
    "schema": 1,
    "name": "cold",
    "workload": "forecast",
    "tables": {
        "sales": {
            "key": ["sku", "t"],
            "happened": {"column": "t", "period": "integer"},
            "known": "same_as_happened",
            "columns": {"sku": "text", "y": {"type": "decimal", "low": 0}},
        },
        "items": {
            "key": ["sku"],
            "happened": {"column": "t", "period": "integer"},
            "known": {"column": "known"},
            "columns": {
                "sku": "text",
                "department": {"type": "text", "nullable": True},
                "shelf": {"type": "decimal", "decimals": 1, "nullable": True},
            },
        },
    },
    "series": {"table": "sales", "by": ["sku"], "value": "y", "every": "integer"},
    "horizon": 3,
    "season": 4,
    "models": ["seasonal_naive", "window_mean"],
    "backtest": {"origins": 1, "calibrations": 2, "every": 3, "examples": 2, "stride": 2},
    "cold_start": {"table": "items", "group": ["department"], "size": "shelf", "least": 8},
    "decision": {"short": 3, "over": 1},
}
KEYS = ["sku", "cutoff", "step", "level"]


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


def database(parsed: ForecastPlan) -> Database:
    """Seven old series; `young` began at 36, `new` has none but is listed from 30 on, `later` is listed from 41 on."""
    rng = np.random.default_rng(4)
    sales = [(f"s{i}", int(rng.poisson(10 * (i + 1))), t, t, 1, False) for i in range(7) for t in range(45)]
    sales += [("young", 3, t, t, 1, False) for t in range(36, 45)]
    listed = [(f"s{i}", "tools", 10 * (i + 1), 0, 0, 1, False) for i in range(7)]
    listed += [("young", "tools", 20, 30, 30, 1, False), ("new", "tools", 10, 30, 30, 1, False)]
    # Corrected later: at 42 the shelf is three times as long.
    listed += [("new", "tools", 30, 30, 42, 2, False), ("later", "toys", 20, 41, 41, 1, False)]
    # Announced early: it is there from 43 on.
    listed += [("planned", "tools", 20, 43, 5, 1, False)]
    columns = ["sku", "y", "_happened", "_known", "_batch", "_deleted"]
    more = ["sku", "department", "shelf", "_happened", "_known", "_batch", "_deleted"]
    by_name = {contract.name: contract for contract in parsed.contracts}
    return Database(
        {
            "sales": Table(by_name["sales"], pl.DataFrame(sales, schema=columns, orient="row")),
            "items": Table(by_name["items"], pl.DataFrame(listed, schema=more, orient="row")),
        }
    )


def built(parsed: ForecastPlan, data: Database, cutoffs: tuple[int, ...]) -> Any:
    return builder(parsed, Bench(Memory(), 1, Silent()))(data, cutoffs, 1)  # type: ignore[arg-type]


def test_a_run_serves_what_is_listed_and_has_too_little_history() -> None:
    parsed = plan()
    found = built(parsed, database(parsed), (40, 44)).forecasts
    early, late = found.detail[40], found.detail[44]
    assert early.cold.rows() == [("new", "department=tools", 7, True, 0), ("young", "department=tools", 7, True, 5)]
    # By 44 `young` has nine steps and speaks for others; `later` is listed, whose department has nobody else.
    started = [("later", "", 8, True, 0), ("new", "department=tools", 8, True, 0)]
    assert late.cold.rows() == [*started, ("planned", "department=tools", 8, True, 0)]
    for served in (early, late):
        names = set(served.cold["sku"])
        rows = served.rows.filter(pl.col("sku").is_in(names))
        assert rows.height == len(names) * 3 * (1 + len(parsed.levels))
        assert names.isdisjoint(served.totals["sku"])
        assert names.isdisjoint(served.ours.point.rows["sku"])
    assert "young" in set(late.totals["sku"])
    assert set(found.predictions["sku"]) == {*(f"s{i}" for i in range(7)), "new", "young", "later", "planned"}
    shares = {cutoff: value_of(found.detail[cutoff].rows, "new") for cutoff in (40, 44)}
    assert shares[44] / shares[40] == pytest.approx(3.0, rel=0.2)


def value_of(rows: pl.DataFrame, sku: str) -> float:
    return float(rows.filter((pl.col("sku") == sku) & pl.col("level").is_null() & (pl.col("step") == 1))["value"][0])


def test_what_a_cold_series_gets_depends_on_nothing_known_later() -> None:
    parsed = plan()
    data = database(parsed)
    whole = built(parsed, data, (40, 44)).forecasts.predictions
    cut = built(parsed, data.truncate(40), (40,)).forecasts.predictions
    assert difference(whole.filter(pl.col("cutoff") == 40), cut, KEYS) is None


def test_without_cold_start_nothing_changes() -> None:
    parsed = plan(cold_start=None)
    data = database(parsed)
    found = built(parsed, data, (40,)).forecasts
    assert found.detail[40].cold.is_empty()
    mine = ~pl.col("sku").is_in(["new", "young"])
    other = built(plan(), data, (40,)).forecasts.predictions
    assert difference(found.predictions.filter(mine), other.filter(mine), KEYS) is None


def test_the_series_filters_hold_for_what_is_listed() -> None:
    series = {**PLAN["series"], "exclude": {"sku": ["new"]}}
    parsed = plan(series=series)
    assert built(parsed, database(parsed), (40,)).forecasts.detail[40].cold["sku"].to_list() == ["young"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"table": "things"}, r"cold_start.table: 'things'.*sales, items"),
        ({"table": "items", "group": ["aisle"]}, r"cold_start: no column aisle in items"),
        ({"table": "items", "size": "department"}, r"cold_start.size: department of type text"),
        ({"table": "items", "least": 0}, r"cold_start.least: 0"),
        ({"table": "items", "gruop": ["department"]}, r"cold_start.gruop.*did you mean 'group'"),
    ],
)
def test_wrong_settings_are_named(section: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(cold_start=section)


def test_chunks_of_series_have_no_whole_groups_to_start_from() -> None:
    with pytest.raises(PlanError, match=r"cold_start: series that are started from all others"):
        chunkable(plan())
    assert chunkable(plan(cold_start=None)).cold_start is None


def test_a_target_that_may_be_negative_has_no_ratio() -> None:
    tables = {**PLAN["tables"], "sales": {**PLAN["tables"]["sales"], "columns": {"sku": "text", "y": "decimal"}}}
    with pytest.raises(PlanError, match=r"cold_start: a target that may be negative.*low: 0"):
        plan(tables=tables)
