"""Weights of members: against a brute force grid and plain arithmetic, and what they do to predictions."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest

import naive_models as naive
from foreproof.core.predict import Prediction
from foreproof.errors import BadInput
from foreproof.models import (
    Shrinkage,
    Weights,
    combine,
    equal_weights,
    held_out,
    learn_weights,
    solve_simplex,
    weights_of,
)

MEMBERS = ("a", "b", "c")
POOLED = Shrinkage(own=math.inf)


def errors_of(
    spread: dict[str, float], *, series: int = 4, origins: int = 3, steps: int = 6, seed: int = 1, scale: float = 2.0
) -> pl.DataFrame:
    """Actuals of 10, and points whose errors have these standard deviations."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "id": f"s{i}", "cutoff": -o, "step": step, "model": name, "y": 10.0, "scale": scale,
            "value": 10.0 + size * float(rng.normal()),
        }
        for i in range(series)
        for o in range(1, origins + 1)
        for step in range(1, steps + 1)
        for name, size in spread.items()
    ]  # fmt: skip
    return pl.DataFrame(rows)


def matrix(errors: pl.DataFrame, members: tuple[str, ...] = MEMBERS) -> list[list[float]]:
    scaled = errors.with_columns(e=(pl.col("value") - pl.col("y")) / pl.col("scale"))
    wide = scaled.pivot(on="model", index=["id", "cutoff", "step"], values="e").sort("id", "cutoff", "step")
    return [list(row) for row in wide.select(members).rows()]


def points(values: dict[str, float], steps: int = 6) -> dict[str, Prediction]:
    """One value of each member for each of two series and all steps."""
    return {
        name: Prediction(
            "point",
            ("id",),
            pl.DataFrame(
                {
                    "id": [f"s{i}" for i in range(2) for _ in range(steps)],
                    "cutoff": [0] * 2 * steps,
                    "step": list(range(1, steps + 1)) * 2,
                    "level": pl.Series([None] * 2 * steps, dtype=pl.Float64),
                    "value": [value] * 2 * steps,
                }
            ),
        )
        for name, value in values.items()
    }


# --- the objective ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("penalty", [0.0, 0.03, 0.5])
def test_no_weights_on_a_fine_grid_are_better(seed: int, penalty: float) -> None:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(25, 1))
    rows = common * rng.uniform(0, 2) + rng.normal(size=(25, 3)) * rng.uniform(0.2, 3, size=3) + rng.normal(size=3)
    towards = [1 / 3] * 3
    found = solve_simplex(rows, np.array(towards), penalty)
    best = min(naive.simplex(3, 50), key=lambda w: naive.objective(rows.tolist(), w, towards, penalty))
    ours = naive.objective(rows.tolist(), found.tolist(), towards, penalty)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert ours <= naive.objective(rows.tolist(), best, towards, penalty) + 1e-6


def test_members_without_errors_or_with_equal_ones_keep_the_weights_they_are_drawn_to() -> None:
    towards = np.array([0.2, 0.3, 0.5])
    assert solve_simplex(np.zeros((5, 3)), towards, 0.1).tolist() == towards.tolist()
    same = np.repeat(np.random.default_rng(1).normal(size=(20, 1)), 3, axis=1)
    assert solve_simplex(same, towards, 0.1) == pytest.approx(towards, abs=1e-9)


def test_a_heavy_penalty_gives_the_mean() -> None:
    rows = np.random.default_rng(1).normal(size=(30, 3)) * [0.1, 1.0, 5.0]
    assert solve_simplex(rows, np.full(3, 1 / 3), 1e6) == pytest.approx(np.full(3, 1 / 3), abs=1e-4)


def test_a_perfect_member_takes_all_the_weight_without_a_penalty() -> None:
    rows = np.random.default_rng(1).normal(size=(30, 3)) * [1.0, 0.0, 5.0]
    assert solve_simplex(rows, np.full(3, 1 / 3), 0.0) == pytest.approx([0, 1, 0], abs=0.05)


def test_two_members_that_err_to_opposite_sides_share() -> None:
    noise = np.random.default_rng(1).normal(size=30) * 0.01
    rows = np.stack([1.0 + noise, -1.0 + noise, 3.0 + noise], axis=1)
    found = solve_simplex(rows, np.full(3, 1 / 3), 0.0)
    assert found[0] - found[1] + 3 * found[2] == pytest.approx(0.0, abs=0.1)


# --- learning --------------------------------------------------------------------------------------------------------


def test_pooled_weights_solve_the_objective_with_the_penalty_of_their_cells() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0})
    found = learn_weights(errors, entity=("id",), shrinkage=POOLED)
    penalty = 0.03 * (1 + 30 / 12)
    rows = matrix(errors)
    best = min(naive.simplex(3, 100), key=lambda w: naive.objective(rows, w, [1 / 3] * 3, penalty))
    assert found.members == MEMBERS
    assert found.share == 0.0
    assert found.blocks[0][1] == pytest.approx(best, abs=0.02)
    exact = solve_simplex(np.array(rows), np.full(3, 1 / 3), penalty)
    assert found.blocks[0][1] == pytest.approx(exact, abs=1e-9)
    assert found.blocks[0][1][0] > found.blocks[0][1][1] > found.blocks[0][1][2]


def test_a_series_goes_its_own_way_by_its_origins() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0})
    found = learn_weights(errors, entity=("id",), shrinkage=Shrinkage(own=6.0))
    assert found.share == pytest.approx(3 / 9)
    for name in ("s0", "s3"):
        rows = matrix(errors.filter(pl.col("id") == name))
        assert found.own[name,] == pytest.approx(naive.own_weights(rows), rel=0.01)
    table = found.frame([1]).filter(pl.col("id") == "s3").sort("model")["weight"].to_list()
    mixed = [2 / 3 * p + 1 / 3 * o for p, o in zip(found.blocks[0][1], found.own["s3",], strict=True)]
    assert table == pytest.approx(mixed)


def test_members_without_any_error_share_equally() -> None:
    errors = errors_of({"a": 0.0, "b": 0.0}).with_columns(value=pl.col("y"))
    found = learn_weights(errors, entity=("id",), shrinkage=Shrinkage(own=6.0))
    assert set(found.own.values()) == {(0.5, 0.5)}


def test_errors_count_by_the_scale_of_their_series() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0}, series=2)
    swapped = pl.col("model").replace({"a": "c", "c": "a"})
    loud = errors.filter(pl.col("id") == "s0").with_columns(model=swapped)
    quiet = errors.filter(pl.col("id") == "s1")

    def weights(scale: float) -> tuple[float, ...]:
        both = pl.concat([loud.with_columns(scale=pl.lit(scale)), quiet])
        return learn_weights(both, entity=("id",), shrinkage=POOLED).blocks[0][1]

    unheard, deafening = weights(1e6), weights(1e-6)
    assert unheard[0] > unheard[1] > unheard[2]
    assert deafening[2] > deafening[1] > deafening[0]


def test_a_block_of_steps_has_weights_of_its_own() -> None:
    near = errors_of({"a": 0.5, "b": 4.0}, series=20).filter(pl.col("step") <= 3)
    far = errors_of({"a": 4.0, "b": 0.5}, series=20).filter(pl.col("step") > 3)
    found = learn_weights(pl.concat([near, far]), entity=("id",), shrinkage=Shrinkage(own=math.inf, blocks=2))
    assert [last for last, _ in found.blocks] == [3, 6]
    assert found.blocks[0][1][0] > 0.7
    assert found.blocks[1][1][1] > 0.7
    mixed = combine(points({"a": 0.0, "b": 1.0}, steps=8), found).canonical()
    values = mixed.filter(pl.col("id") == "s0")["value"].to_list()
    assert values == pytest.approx([found.blocks[0][1][1]] * 3 + [found.blocks[1][1][1]] * 5)


def test_rows_that_a_member_lacks_are_left_out() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0})
    hole = ~((pl.col("id") == "s1") & (pl.col("model") == "c"))
    found = learn_weights(errors.filter(hole), entity=("id",))
    assert found == learn_weights(errors.filter(pl.col("id") != "s1"), entity=("id",))
    with pytest.raises(BadInput, match="no row that all members predict"):
        learn_weights(errors.filter((pl.col("id") == "s0") == (pl.col("model") == "a")), entity=("id",))


def test_order_of_rows_does_not_matter() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0})
    shuffled = errors.sample(fraction=1.0, shuffle=True, seed=3)
    assert learn_weights(shuffled, entity=("id",)) == learn_weights(errors, entity=("id",))


def test_one_series_without_entity_columns_has_weights() -> None:
    errors = errors_of({"a": 1.0, "b": 3.0}, series=1).drop("id")
    found = learn_weights(errors, entity=())
    assert list(found.own) == [()]
    assert found.blocks[0][1][0] > found.blocks[0][1][1]


@pytest.mark.parametrize("column", ["value", "y", "scale"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_errors_that_are_not_finite_are_refused(column: str, bad: float | None) -> None:
    place = pl.int_range(pl.len()) == 4
    errors = errors_of({"a": 1.0, "b": 2.0}).with_columns(
        pl.when(place).then(pl.lit(bad, dtype=pl.Float64)).otherwise(column).alias(column)
    )
    with pytest.raises(BadInput, match="wanted finite value and y, scale above 0"):
        learn_weights(errors, entity=("id",))


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(BadInput, match="no errors at settled origins"):
        learn_weights(errors_of({"a": 1.0}).clear(), entity=("id",))
    with pytest.raises(BadInput, match="no errors at settled origins"):
        held_out(errors_of({"a": 1.0}).clear(), entity=("id",))


# --- combining -------------------------------------------------------------------------------------------------------


def test_a_combination_is_the_weighted_sum() -> None:
    weights = Weights(("id",), MEMBERS, ((6, (0.5, 0.25, 0.25)),), {("s1",): (0.0, 0.0, 1.0)}, 0.5)
    found = combine(points({"a": 8.0, "b": 4.0, "c": 0.0}), weights)
    assert found.rows.filter(pl.col("id") == "s0")["value"].to_list() == [5.0] * 6
    assert found.rows.filter(pl.col("id") == "s1")["value"].to_list() == [2.5] * 6
    assert found.kind == "point"


def test_equal_weights_give_the_mean() -> None:
    found = combine(points({"a": 8.0, "b": 4.0, "c": 0.0}), equal_weights(("id",), MEMBERS))
    assert found.rows["value"].to_numpy() == pytest.approx(4.0)


def test_a_combination_lies_between_its_members() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0})
    found = combine(points({"a": 8.0, "b": 4.0, "c": -3.0}), learn_weights(errors, entity=("id",)))
    assert found.rows["value"].is_between(-3.0, 8.0).all()


def test_a_member_that_is_missing_or_predicts_other_rows_is_refused() -> None:
    weights = equal_weights(("id",), MEMBERS)
    given = points({"a": 8.0, "b": 4.0, "c": 0.0})
    with pytest.raises(BadInput, match="no prediction of c"):
        combine({name: given[name] for name in "ab"}, weights)
    fewer = Prediction("point", ("id",), given["b"].rows.filter(pl.col("step") < 6))
    with pytest.raises(BadInput, match=r"combination: b: 10 rows"):
        combine({**given, "b": fewer}, weights)
    with pytest.raises(BadInput, match=r"combination: b: 12 rows, of which 10"):
        combine({**given, "a": fewer}, weights)


def test_the_held_out_combination_never_uses_the_errors_of_its_own_origin() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0})
    found = held_out(errors, entity=("id",)).canonical()
    for origin in (-1, -2, -3):
        here = errors.filter(pl.col("cutoff") == origin)
        weights = learn_weights(errors.filter(pl.col("cutoff") != origin), entity=("id",))
        wide = here.pivot(on="model", index=["id", "cutoff", "step"], values="value").sort("id", "step")
        table = weights.frame(range(1, 7)).pivot(on="model", index=["id", "step"], values="weight").sort("id", "step")
        expected = (wide.select(MEMBERS).to_numpy() * table.select(MEMBERS).to_numpy()).sum(axis=1)
        ours = found.filter(pl.col("cutoff") == origin)["value"].to_numpy()
        assert ours == pytest.approx(expected, rel=1e-12)
    spoilt = errors.with_columns(value=pl.when(pl.col("cutoff") == -1).then(pl.col("value") * 100).otherwise("value"))
    changed = held_out(spoilt, entity=("id",)).canonical()
    ratio = changed.filter(pl.col("cutoff") == -1)["value"] / found.filter(pl.col("cutoff") == -1)["value"]
    assert ratio.to_numpy() == pytest.approx(100.0)


def test_with_one_origin_no_series_has_weights_of_its_own() -> None:
    errors = errors_of({"a": 1.0, "b": 2.0, "c": 4.0}, origins=1)
    pooled = learn_weights(errors, entity=("id",), shrinkage=POOLED).blocks[0][1]
    wide = errors.pivot(on="model", index=["id", "step"], values="value").sort("id", "step")
    found = held_out(errors, entity=("id",)).canonical()["value"].to_numpy()
    assert found == pytest.approx(wide.select(MEMBERS).to_numpy() @ np.array(pooled))


def test_weights_survive_json() -> None:
    found: Any = learn_weights(errors_of({"a": 1.0, "b": 2.0}), entity=("id",), shrinkage=Shrinkage(blocks=3))
    assert weights_of(json.loads(json.dumps(found.as_dict()))) == found
