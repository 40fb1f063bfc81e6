from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_binary as naive
from foreproof.core.logistic import logit, sigmoid
from foreproof.core.score_binary import log_loss
from foreproof.errors import BadInput
from foreproof.models.blend import BlendWeights, blend, blend_weights_of, equal_blend, learn_blend

SCALES = pytest.mark.parametrize("scale", ["logit", "percentile"])


def settled(n: int = 3000, *, good: float = 0.5, bad: float = 2.0, seed: int = 1) -> pl.DataFrame:
    """Two members that see the truth through noise of their own, on three cutoffs and in two regions."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n) - 1.0
    region = np.where(np.arange(n) % 2 == 0, "north", "south")
    # In the south the members change places.
    swapped = region == "south"
    a, b = truth + good * rng.normal(size=n), truth + bad * rng.normal(size=n)
    return pl.DataFrame(
        {
            "cutoff": np.repeat([10, 20, 30], n // 3),
            "region": region,
            "a": sigmoid(np.where(swapped, b, a)),
            "b": sigmoid(np.where(swapped, a, b)),
            "good": sigmoid(a),
            "bad": sigmoid(b),
            "y": (rng.uniform(size=n) < sigmoid(truth)).astype(float),
        }
    )


def test_weights_on_the_logit_scale_have_the_least_log_loss() -> None:
    rows = settled(600)
    found = learn_blend(rows, ["good", "bad"], half=0.0)
    logits = np.column_stack([logit(rows["good"].to_numpy()), logit(rows["bad"].to_numpy())])
    assert found.weights == pytest.approx(naive.best_of_grid(logits.tolist(), rows["y"].to_list()), abs=0.01)
    assert found.positives == int(rows["y"].sum())


@SCALES
def test_the_better_member_gets_more_weight_and_the_blend_is_at_least_as_good(scale: Any) -> None:
    rows = settled()
    found = learn_blend(rows, ["good", "bad"], scale=scale)
    assert found.weights[0] > 0.6
    equal = log_loss(rows["y"], blend(rows, equal_blend(["good", "bad"], scale=scale)))
    assert log_loss(rows["y"], blend(rows, found)) < equal


@SCALES
@given(seed=st.integers(0, 50), n=st.integers(3, 90))
def test_weights_are_never_negative_and_add_up_to_one(scale: Any, seed: int, n: int) -> None:
    rows = settled(n - n % 3, seed=seed)
    found = learn_blend(rows, ["a", "b", "bad"], scale=scale, segment="region")
    for weights in (found.weights, *found.own.values()):
        assert min(weights) >= 0.0
        assert sum(weights) == pytest.approx(1.0, abs=1e-9)
    values = blend(rows, found)
    assert values.shape == (rows.height,)
    assert values.min() >= 0.0 and values.max() <= 1.0


@SCALES
def test_segments_go_their_own_way_by_n_over_n_plus_half(scale: Any) -> None:
    rows = settled()
    north = rows.filter(pl.col("region") == "north")
    pooled = learn_blend(rows, ["a", "b"], scale=scale, half=0.0)
    # Weights of one region alone, on percentiles among all rows of a cutoff as the blend has them.
    alone = learn_blend(rows, ["a", "b"], scale=scale, segment="region", half=0.0)
    half = 100.0
    found = learn_blend(rows, ["a", "b"], scale=scale, segment="region", half=half)
    n, m = rows["y"].sum(), north["y"].sum()
    start = 0.5 + n / (n + half) * (pooled.weights[0] - 0.5)
    assert found.weights[0] == pytest.approx(start, abs=1e-3)
    assert found.own["north"][0] == pytest.approx(start + m / (m + half) * (alone.own["north"][0] - start), abs=2e-3)
    assert found.own["north"][0] > 0.6 > 0.4 > found.own["south"][0]


def test_without_positives_weights_are_equal_and_a_segment_without_them_takes_the_pooled() -> None:
    rows = settled()
    none = learn_blend(rows.with_columns(y=pl.lit(0.0)), ["a", "b"])
    assert none.weights == (0.5, 0.5)
    quiet = rows.with_columns(y=pl.when(pl.col("region") == "south").then(0.0).otherwise("y"))
    found = learn_blend(quiet, ["a", "b"], segment="region")
    assert found.own["south"] == found.weights


@given(
    p=st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.6]), st.sampled_from([0.05, 0.5, 0.7])), min_size=1, max_size=12
    ),
    w=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_the_blend_of_percentiles_equals_its_slow_twin(p: list[tuple[float, float]], w: float) -> None:
    a, b = [one for one, _ in p], [two for _, two in p]
    rows = pl.DataFrame({"cutoff": [1] * len(p), "a": a, "b": b})
    found = blend(rows, BlendWeights(("a", "b"), "percentile", (w, 1.0 - w)))
    assert found.tolist() == pytest.approx(naive.percentile_blend([a, b], (w, 1.0 - w)), abs=1e-9)


def test_the_blend_of_logits_by_hand() -> None:
    rows = pl.DataFrame({"cutoff": [1, 1], "a": [0.2, 0.5], "b": [0.8, 0.5], "region": ["north", "elsewhere"]})
    weights = BlendWeights(("a", "b"), "logit", (0.5, 0.5), "region", {"north": (1.0, 0.0)})
    assert blend(rows, weights).tolist() == pytest.approx([0.2, 0.5])
    assert blend(rows, equal_blend(["a", "b"])).tolist() == pytest.approx([0.5, 0.5])


@SCALES
def test_the_order_of_rows_does_not_matter(scale: Any) -> None:
    rows = settled(300)
    place = np.random.default_rng(3).permutation(rows.height)
    a = learn_blend(rows, ["a", "b"], scale=scale, segment="region")
    b = learn_blend(rows[place], ["a", "b"], scale=scale, segment="region")
    assert a.weights == pytest.approx(b.weights, abs=1e-6)
    assert blend(rows[place], a).tolist() == pytest.approx(blend(rows, a)[place].tolist(), abs=1e-12)


def test_percentiles_are_taken_by_cutoff() -> None:
    rows = settled(300)
    weights = BlendWeights(("a", "b"), "percentile", (0.5, 0.5))
    whole = pl.Series(blend(rows, weights))
    for at in (10, 20, 30):
        here = (rows["cutoff"] == at).to_numpy()
        assert blend(rows.filter(pl.col("cutoff") == at), weights).tolist() == pytest.approx(
            whole.filter(here).to_list()
        )


def test_weights_go_to_json_and_back() -> None:
    found = learn_blend(settled(300), ["a", "b"], segment="region", scale="percentile")
    assert blend_weights_of(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


@pytest.mark.parametrize(
    ("change", "members", "said"),
    [
        ({}, [], "at least one"),
        ({}, ["a", "a"], "each once"),
        ({}, ["a", "c"], "no column c"),
        ({"y": pl.lit(None, dtype=pl.Float64)}, ["a"], "missing or neither"),
        ({"y": pl.lit(0.5)}, ["a"], "neither 0 nor 1"),
        ({"a": pl.lit(1.5)}, ["a", "b"], "wanted probabilities"),
        ({"a": pl.lit(float("nan"))}, ["a", "b"], "missing"),
    ],
)
def test_bad_input_is_refused(change: dict[str, pl.Expr], members: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        learn_blend(settled(30).with_columns(**change), members)
    with pytest.raises(BadInput, match="no settled rows"):
        learn_blend(settled(30).clear(), ["a"])
    with pytest.raises(BadInput, match="no column b"):
        blend(settled(30).drop("b"), equal_blend(["a", "b"]))
