"""A normalisation can be undone, for every kind, sign and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.plan import parse_plan
from foreproof.errors import PlanError
from foreproof.models.normalise import Kind, Normalised, learn_scaling
from foreproof.workloads.forecast import parse_forecast

NUMBER = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-6 else x)


@pytest.mark.parametrize("kind", ["log1p", "asinh", "box_cox", "standard"])
@given(y=st.lists(NUMBER, min_size=1, max_size=30), positive=st.booleans())
def test_the_map_can_be_undone_and_keeps_the_order(kind: Kind, y: list[float], positive: bool) -> None:
    values = np.abs(np.array(y)) + 1.0 if positive else np.array(y)
    scaling = learn_scaling(values, kind)
    there = scaling.forward(values)
    assert np.isfinite(there).all()
    reach = max(1.0, float(np.abs(values).max()))
    np.testing.assert_allclose(scaling.back(there), values, rtol=1e-7, atol=1e-7 * reach)
    rising = np.sort(values)
    assert (np.diff(scaling.forward(rising)) >= -1e-12).all()


@pytest.mark.parametrize("kind", ["log1p", "asinh", "box_cox", "standard"])
def test_series_of_one_value_and_of_zeros_have_a_map(kind: Kind) -> None:
    for values in (np.zeros(12), np.full(12, 7.0), np.array([3.0])):
        scaling = learn_scaling(values, kind)
        np.testing.assert_allclose(scaling.back(scaling.forward(values)), values, atol=1e-9)


PLAN = """
schema: 1
name: p
workload: forecast
tables:
  facts:
    key: [id, step]
    happened: {column: step, period: integer}
    known: same_as_happened
    columns: {id: text, y: {type: real}}
series: {table: facts, by: [id], value: y, every: integer, aggregate: last, gap: missing, normalise: asinh}
horizon: 2
season: 2
models: [seasonal_naive, theta, boost]
"""


def test_a_plan_normalises_members_that_read_no_rows_and_leaves_the_baseline() -> None:
    models = parse_forecast(parse_plan(PLAN)).models
    assert [isinstance(model, Normalised) for model in models] == [False, True, False]
    with pytest.raises(PlanError, match="normalise"):
        parse_forecast(parse_plan(PLAN.replace("asinh", "cube")))
    with pytest.raises(PlanError, match="a local model"):
        parse_forecast(
            parse_plan(PLAN.replace("[seasonal_naive, theta, boost]", "[seasonal_naive, {normalised: {of: boost}}]"))
        )
