"""Sample paths: sums, quantiles, and the way there and back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from foreproof.core.paths import Paths, paths_of
from foreproof.errors import BadInput, LawError


def drawn(n: int = 3, many: int = 40, horizon: int = 5) -> Paths:
    keys = pl.DataFrame({"item": [f"i{i}" for i in range(n)], "cutoff": [7] * n})
    return Paths(keys, np.random.default_rng(3).gamma(2.0, 5.0, (n, many, horizon)))


def test_paths_survive_the_way_to_a_frame_and_back_in_any_order() -> None:
    paths = drawn()
    again = paths_of(paths.frame().sample(fraction=1.0, shuffle=True, seed=1))
    assert again.keys.equals(paths.keys)
    np.testing.assert_array_equal(again.values, paths.values)
    assert (again.entity, again.count, again.horizon) == (("item",), 40, 5)


def test_a_sum_adds_the_steps_that_it_names() -> None:
    paths = drawn()
    np.testing.assert_allclose(paths.sums(2, 4)[1, 7], sum(paths.values[1, 7, step] for step in (1, 2, 3)), rtol=1e-12)
    for first, last in ((0, 2), (3, 2), (1, 6)):
        with pytest.raises(BadInput, match="steps"):
            paths.sums(first, last)


def test_quantiles_stand_at_their_own_series_and_step() -> None:
    paths = drawn(many=41)
    found = paths.quantiles((0.5, 0.9)).rows
    assert found.height == 3 * 5 * 2
    one = found.filter((pl.col("item") == "i2") & (pl.col("step") == 4) & (pl.col("level") == 0.5))["value"].item()
    assert one == pytest.approx(sorted(paths.values[2, :, 3])[20])


def test_paths_refuse_what_is_no_set_of_paths() -> None:
    keys = pl.DataFrame({"item": ["a", "b"], "cutoff": [1, 1]})
    for values in (np.zeros((3, 2, 2)), np.zeros((2, 2)), np.zeros((2, 0, 2)), np.full((2, 2, 2), np.nan)):
        with pytest.raises(LawError):
            Paths(keys, values)
    with pytest.raises(LawError, match="twice"):
        Paths(keys.with_columns(item=pl.lit("a")), np.zeros((2, 2, 2)))
    with pytest.raises(BadInput, match="every path"):
        paths_of(drawn().frame().head(17))
