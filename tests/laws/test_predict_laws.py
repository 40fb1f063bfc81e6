"""What holds for every prediction."""

from __future__ import annotations

import pickle

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.predict import Prediction
from foreproof.errors import LawError

LEVELS = [0.1, 0.5, 0.9]
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def frame(values: list[float], levels: list[float] | None = None, *, step: int = 1) -> pl.DataFrame:
    n = len(values)
    return pl.DataFrame(
        {"sku": ["a"] * n, "cutoff": [0] * n, "step": [step] * n, "level": levels or [None] * n, "value": values},
        schema_overrides={"level": pl.Float64, "value": pl.Float64},
    )


@given(st.lists(numbers, min_size=3, max_size=3), st.permutations(range(3)))
def test_quantiles_stand_exactly_when_they_do_not_cross(values: list[float], order: list[int]) -> None:
    rows = frame([values[i] for i in order], [LEVELS[i] for i in order])
    if values == sorted(values):
        assert Prediction("quantile", ("sku",), rows).levels == tuple(LEVELS)
    else:
        with pytest.raises(LawError, match="crosses"):
            Prediction("quantile", ("sku",), rows)


@given(st.floats(-2, 3, allow_nan=False))
def test_a_probability_lies_in_zero_to_one(p: float) -> None:
    if 0 <= p <= 1:
        Prediction("probability", ("sku",), frame([p]))
    else:
        with pytest.raises(LawError, match="outside"):
            Prediction("probability", ("sku",), frame([p]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_value_is_a_finite_number(bad: float) -> None:
    with pytest.raises(LawError, match="finite"):
        Prediction("point", ("sku",), frame([bad]))


def test_an_index_comes_once_and_steps_begin_at_one() -> None:
    with pytest.raises(LawError, match="twice"):
        Prediction("point", ("sku",), frame([1.0, 2.0]))
    with pytest.raises(LawError, match="before step 1"):
        Prediction("point", ("sku",), frame([1.0], step=0))
    with pytest.raises(LawError, match="has a level"):
        Prediction("point", ("sku",), frame([1.0], [0.5]))
    with pytest.raises(LawError, match="no level"):
        Prediction("quantile", ("sku",), frame([1.0], [1.0]))


@given(st.permutations(range(3)))
def test_canonical_rows_do_not_depend_on_their_order(order: list[int]) -> None:
    rows = frame([1.0, 2.0, 3.0], LEVELS)
    made = Prediction("quantile", ("sku",), rows[list(order)])
    assert made.canonical().equals(Prediction("quantile", ("sku",), rows).canonical())
    assert pickle.loads(pickle.dumps(made)).canonical().equals(made.canonical())
