from __future__ import annotations

import json
import math
import pickle
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

import naive_binary as naive
from foreproof.core.logistic import logit, sigmoid
from foreproof.core.score_binary import auc, calibration_mae
from foreproof.errors import BadInput
from foreproof.models.calibrate import CALIBRATORS, Beta, Isotonic, Lines, Platt, Seasonal, Steps, calibrated_of
from foreproof.models.calibrate_choice import choose_calibrator

EVERY = pytest.mark.parametrize("name", CALIBRATORS)
AT = datetime(2024, 6, 30, tzinfo=UTC)


def whens(n: int, at: datetime = AT) -> pl.Series:
    return pl.Series("cutoff", [at] * n, dtype=pl.Datetime("us", "UTC"))


def world(n: int = 4000, *, steep: float = 2.0, shift: float = -1.0, seed: int = 1) -> tuple[Any, Any]:
    """p that is too sure by `steep` and moved by `shift` on the logit scale, and outcomes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return sigmoid(steep * x), (rng.uniform(size=n) < sigmoid(x + shift)).astype(float)


# --- every calibrator -------------------------------------------------------------------------------------------------


@EVERY
def test_a_calibrator_stays_within_its_edges_and_keeps_the_order(name: str) -> None:
    p, y = world()
    calibrated = CALIBRATORS[name].fit(p, y, whens(p.size))
    given_p = np.array([0.0, 1e-9, 0.1, 0.5, 0.5, 0.9, 1.0])
    found = calibrated(given_p, whens(7))
    assert found.min() >= 1e-6 and found.max() <= 1.0 - 1e-6
    assert np.all(np.diff(found) >= 0.0)
    assert found[3] == found[4]


@EVERY
def test_a_calibrator_goes_to_json_and_back_and_pickles(name: str) -> None:
    p, y = world(500)
    calibrated = CALIBRATORS[name].fit(p, y, whens(p.size))
    again = calibrated_of(json.loads(json.dumps(calibrated.as_dict(), allow_nan=False)))
    assert again == calibrated == pickle.loads(pickle.dumps(calibrated))
    assert np.array_equal(again(p, whens(p.size)), calibrated(p, whens(p.size)))
    assert calibrated.as_dict()["calibrator"] == name


@EVERY
def test_a_calibrator_does_not_depend_on_the_order_of_rows_nor_change_its_input(name: str) -> None:
    p, y = world(500)
    before, mixed = p.copy(), np.random.default_rng(2).permutation(p.size)
    a, b = (CALIBRATORS[name].fit(p[i], y[i], whens(p.size)) for i in (np.arange(p.size), mixed))
    assert np.allclose(a(p, whens(p.size)), b(p, whens(p.size)), atol=1e-9)
    assert np.array_equal(p, before)


@EVERY
def test_a_calibrator_refuses_what_is_missing_and_what_is_no_probability(name: str) -> None:
    p, y = world(500)
    calibrated = CALIBRATORS[name].fit(p, y, whens(p.size))
    for bad in (math.nan, -0.1, 1.1):
        with pytest.raises(BadInput):
            calibrated(np.array([0.5, bad]), whens(2))


@pytest.mark.parametrize("name", ["platt", "isotonic", "beta"])
def test_one_outcome_alone_cannot_be_learned_from(name: str) -> None:
    with pytest.raises(BadInput, match="0 positives among 3 settled rows"):
        CALIBRATORS[name].fit(np.array([0.1, 0.2, 0.3]), np.zeros(3), whens(3))
    with pytest.raises(BadInput, match="other than 0 and 1"):
        CALIBRATORS[name].fit(np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 0.5]), whens(3))


@pytest.mark.parametrize("name", ["platt", "isotonic", "beta"])
def test_what_is_too_sure_is_mended(name: str) -> None:
    (p, y), (new_p, new_y) = world(), world(seed=2)
    found = CALIBRATORS[name].fit(p, y, whens(p.size))(new_p, whens(new_p.size))
    assert calibration_mae(new_y, found) < 0.3 * calibration_mae(new_y, new_p)


# --- each by itself ---------------------------------------------------------------------------------------------------


def test_platt_is_the_likeliest_curve_for_his_targets() -> None:
    p, y = world(300)
    up, down = y.sum(), y.size - y.sum()
    target = np.where(y > 0, (up + 1) / (up + 2), 1 / (down + 2))

    def loss(b: Any) -> float:
        x = b[0] * logit(p) + b[1]
        return float(np.sum(np.logaddexp(0.0, x) - target * x))

    peer = scipy.optimize.minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-8}).x
    found = Platt().fit(p, y, whens(p.size))
    assert (found.a, found.b, found.c) == pytest.approx((peer[0], peer[0], peer[1]), rel=1e-4)
    assert found(p, whens(p.size)) == pytest.approx(sigmoid(peer[0] * logit(p) + peer[1]), rel=1e-3)


def test_platt_of_separated_outcomes_is_finite_and_of_reversed_ones_flat() -> None:
    p = np.array([0.1, 0.2, 0.8, 0.9])
    found = Platt().fit(p, np.array([0.0, 0.0, 1.0, 1.0]), whens(4))
    assert 0.0 < found.a < 10.0
    flat = Platt().fit(p, np.array([1.0, 1.0, 0.0, 0.0]), whens(4))
    assert flat(p, whens(4)).tolist() == pytest.approx([0.5] * 4)


def test_beta_is_the_likeliest_map_with_rising_ends() -> None:
    p, y = world(400)

    def loss(b: Any) -> float:
        x = b[0] * np.log(p) - b[1] * np.log1p(-p) + b[2]
        return float(np.sum(np.logaddexp(0.0, x) - y * x))

    peer = scipy.optimize.minimize(loss, [1.0, 1.0, 0.0], bounds=[(0, None), (0, None), (None, None)], tol=1e-12).x
    found = Beta().fit(p, y, whens(p.size))
    assert (found.a, found.b, found.c) == pytest.approx(tuple(peer), rel=1e-2, abs=1e-2)
    assert loss((found.a, found.b, found.c)) <= loss(peer) + 1e-6


def test_beta_drops_a_coefficient_that_would_fall() -> None:
    rng = np.random.default_rng(3)
    p = rng.uniform(0.01, 0.99, size=3000)
    y = (rng.uniform(size=3000) < sigmoid(2.0 * np.log(p) + 1.5 * np.log1p(-p) + 2.0)).astype(float)
    found = Beta().fit(p, y, whens(p.size))
    assert min(found.a, found.b) == 0.0
    assert isinstance(found, Lines)
    backwards = Beta().fit(p, (rng.uniform(size=3000) < 1.0 - p).astype(float), whens(p.size))
    assert (backwards.a, backwards.b) == (0.0, 0.0)


@given(
    p=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.6, 0.9]), min_size=2, max_size=14),
    bits=st.integers(0, 2**14 - 1),
)
def test_isotonic_equals_the_max_min_formula_and_scikit_learn(p: list[float], bits: int) -> None:
    y = [float(bits >> i & 1) for i in range(len(p))]
    if 0.0 < sum(y) < len(y):
        found = Isotonic().fit(np.array(p), np.array(y), whens(len(p)))
        assert isinstance(found, Steps)
        twin = naive.isotonic(p, y)
        there = found(np.array(p), whens(len(p)))
        assert there.tolist() == pytest.approx([min(max(twin[at], 1e-6), 1 - 1e-6) for at in p], abs=1e-9)
        peer = IsotonicRegression(out_of_bounds="clip").fit(p, y)
        between = np.linspace(0.01, 0.99, 50)
        expected = np.clip(peer.predict(between), 1e-6, 1 - 1e-6)
        assert found(between, whens(50)) == pytest.approx(expected, abs=1e-9)


# --- seasonal ---------------------------------------------------------------------------------------------------------


def months(first: tuple[int, int], rates: list[float], n: int = 1000) -> tuple[Any, Any, pl.Series]:
    """n rows at the end of each month in turn, with exactly these rates."""
    at = [
        datetime(first[0] + (first[1] - 1 + k) // 12, (first[1] - 1 + k) % 12 + 1, 28, tzinfo=UTC)
        for k in range(len(rates))
    ]
    y = np.concatenate([np.arange(n) < round(rate * n) for rate in rates]).astype(float)
    when = pl.Series("cutoff", np.repeat(np.array(at, dtype=object), n).tolist(), dtype=pl.Datetime("us", "UTC"))
    return np.full(y.size, 0.2), y, when


def test_seasonal_brings_the_mean_to_the_rate_of_the_same_month() -> None:
    rates = [0.1] * 10 + [0.4, 0.5]
    fitted = Seasonal().fit(*months((2023, 1), rates))
    p = np.random.default_rng(1).uniform(0.05, 0.6, size=300)
    november = fitted(p, whens(300, datetime(2024, 11, 28, tzinfo=UTC)))
    assert november.mean() == pytest.approx(400.5 / 1001, abs=1e-9)
    assert november.tolist() == pytest.approx(naive.shifted(p.tolist(), 400.5 / 1001), abs=1e-3)
    assert np.array_equal(np.argsort(november), np.argsort(p))
    assert fitted(p, whens(300, datetime(2024, 3, 28, tzinfo=UTC))).mean() == pytest.approx(100.5 / 1001, abs=1e-9)


def test_seasonal_follows_a_shrunk_trend_in_a_month_that_it_has_not_seen() -> None:
    rates = [0.1, 0.15, 0.2, 0.3]
    p, y, when = months((2024, 1), rates)
    fitted = Seasonal().fit(p, y, when)
    at = [t.timestamp() for t in when.unique().sort()]
    level = [math.log((1000 * r + 0.5) / (1000 * (1 - r) + 0.5)) for r in rates]
    for later in (datetime(2024, 6, 28, tzinfo=UTC), datetime(2025, 12, 28, tzinfo=UTC)):
        expected = sigmoid(naive.trend(at, level, later.timestamp()))
        assert fitted(np.full(5, 0.3), whens(5, later)).tolist() == pytest.approx([float(expected)] * 5, abs=1e-9)


def test_seasonal_moves_each_cutoff_by_itself_and_counts_months_in_its_zone() -> None:
    fitted = Seasonal().fit(*months((2023, 1), [0.1, 0.3]))
    january, february = datetime(2024, 1, 28, tzinfo=UTC), datetime(2024, 2, 28, tzinfo=UTC)
    both = fitted(np.full(4, 0.2), pl.concat([whens(2, january), whens(2, february)]))
    assert both.tolist() == pytest.approx([100.5 / 1001] * 2 + [300.5 / 1001] * 2, abs=1e-9)
    # Half past three of the first of March in UTC is still February in New York.
    late = datetime(2024, 3, 1, 3, 30, tzinfo=UTC)
    there = Seasonal(zone="America/New_York").fit(*months((2023, 1), [0.1, 0.3]))
    assert there(np.full(2, 0.2), whens(2, late)).tolist() == pytest.approx([300.5 / 1001] * 2, abs=1e-9)


def test_seasonal_on_integer_steps_knows_the_trend_alone() -> None:
    when = pl.Series("cutoff", [12] * 1000 + [24] * 1000)
    y = np.concatenate([np.arange(1000) < 100, np.arange(1000) < 300]).astype(float)
    fitted = Seasonal().fit(np.full(2000, 0.2), y, when)
    level = [math.log(100.5 / 900.5), math.log(300.5 / 700.5)]
    expected = float(sigmoid(naive.trend([12, 24], level, 36)))
    assert fitted(np.full(3, 0.2), pl.Series([36] * 3)).tolist() == pytest.approx([expected] * 3, abs=1e-9)
    with pytest.raises(BadInput, match="1 of them missing"):
        fitted(np.full(2, 0.2), pl.Series([36, None], dtype=pl.Int64))


# --- the choice -------------------------------------------------------------------------------------------------------


def settled(
    cutoffs: int = 5, *, steep: float = 2.0, shift: float = -1.0, n: int = 800, drift: float = 0.0
) -> pl.DataFrame:
    parts = []
    for k in range(cutoffs):
        p, y = world(n, steep=steep, shift=shift + drift * k, seed=10 + k)
        parts.append(pl.DataFrame({"cutoff": [100 + 28 * k] * n, "p": p, "y": y}))
    return pl.concat(parts)


def test_the_lowest_calibration_error_forward_in_time_is_chosen() -> None:
    rows = settled()
    found = choose_calibrator(rows, ["raw", "platt", "isotonic", "beta"])
    assert found.name in ("platt", "beta", "isotonic")
    assert found.summary["calibrator"].to_list() == ["raw", "platt", "isotonic", "beta"]
    best = found.summary.filter("chosen")
    assert best["calibrator"].to_list() == [found.name]
    assert best["calibration_mae"][0] == found.summary["calibration_mae"].min()
    assert found.table["cutoff"].unique().sort().to_list() == [128, 156, 184, 212]
    assert f"{100 * best['calibration_mae'][0]:.2f} points" in found.why


def test_each_judged_cutoff_is_scored_by_what_was_fitted_on_earlier_ones() -> None:
    rows = settled()
    found = choose_calibrator(rows, ["platt"]).table
    for at in (128, 156, 184, 212):
        before, here = rows.filter(pl.col("cutoff") < at), rows.filter(pl.col("cutoff") == at)
        fitted = Platt().fit(before["p"].to_numpy(), before["y"].to_numpy(), before["cutoff"])
        expected = calibration_mae(here["y"], fitted(here["p"].to_numpy(), here["cutoff"]))
        row = found.filter((pl.col("cutoff") == at) & (pl.col("calibrator") == "platt"))
        assert row["calibration_mae"][0] == pytest.approx(expected, abs=1e-9)


def test_the_future_cannot_change_how_an_earlier_cutoff_is_judged() -> None:
    rows = settled()
    other = rows.with_columns(y=pl.when(pl.col("cutoff") == 212).then(1.0 - pl.col("y")).otherwise("y"))
    early = pl.col("cutoff") < 212
    scores = ["cutoff", "calibrator", "calibration_mae", "brier"]
    a, b = (choose_calibrator(given, ["platt", "beta", "isotonic"]).table for given in (rows, other))
    assert a.filter(early).select(scores).equals(b.filter(early).select(scores))


def test_a_calibrator_that_is_worse_than_raw_is_refused_with_its_figures() -> None:
    rows = settled(steep=1.0, shift=0.0, drift=0.0)
    # Outcomes of each cutoff turn round, so that what was learned is wrong one cutoff later.
    turned = rows.with_columns(
        y=pl.when((pl.col("cutoff") - 100) % 56 == 28).then((pl.col("p") > 0.2).cast(pl.Float64)).otherwise("y")
    )
    found = choose_calibrator(turned, ["isotonic", "platt"])
    refused = found.summary.filter("refused")
    assert refused.height
    for name, mine, why in refused.select("calibrator", "calibration_mae", "why").rows():
        raw = found.summary.filter(pl.col("calibrator") == "raw")["calibration_mae"][0]
        assert f"{100 * mine:.2f} points" in why or "Brier" in why, name
        assert f"{100 * raw:.2f}" in why
    told = found.table.filter(pl.col("calibrator") == "isotonic")
    assert told["refused"].all() and told["why"].n_unique() == 1


def test_a_calibrator_that_says_the_base_rate_to_everyone_is_refused_by_its_brier_score() -> None:
    class Flat:
        name = "flat"

        def fit(self, p: Any, y: Any, when: Any) -> Any:
            return lambda p, when: np.full(len(p), float(np.mean(y)))

    rows = settled(steep=1.5, shift=0.0)
    found = choose_calibrator(rows, ["flat"], calibrators={"flat": Flat()})  # type: ignore[dict-item]
    assert found.name == "raw"
    assert "Brier" in found.summary["why"][1]


def test_an_honest_model_stays_raw() -> None:
    rows = settled(steep=1.0, shift=0.0, n=300)
    found = choose_calibrator(rows, ["raw", "isotonic"])
    assert found.name == "raw"
    assert found.calibrated(np.array([0.3]), pl.Series([1])).tolist() == [0.3]
    assert found.summary["refused"].to_list() == [False, True]


def test_the_chosen_calibrator_is_fitted_on_all_settled_cutoffs() -> None:
    rows = settled()
    found = choose_calibrator(rows, ["platt"])
    whole = Platt().fit(rows["p"].to_numpy(), rows["y"].to_numpy(), rows["cutoff"])
    assert found.name == "platt"
    p = np.linspace(0.01, 0.99, 9)
    assert found.calibrated(p, pl.Series([300] * 9)) == pytest.approx(whole(p, pl.Series([300] * 9)))
    assert auc(rows["y"], rows["p"]) == pytest.approx(
        auc(rows["y"], found.calibrated(rows["p"].to_numpy(), rows["cutoff"])), abs=1e-6
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (settled(2), "2 settled cutoffs"),
        (settled(1), "1 settled cutoffs"),
        (settled(4, shift=-6.0, n=200), r"\d+ positives in 4 settled cutoffs; a calibrator needs 50"),
    ],
)
def test_too_few_cutoffs_or_positives_leave_raw_and_say_so(rows: pl.DataFrame, said: str) -> None:
    found = choose_calibrator(rows, ["platt", "beta"])
    assert found.name == "raw"
    assert pl.Series([found.why]).str.contains(said).all()
    assert found.summary["refused"].to_list() == [False, True, True]
    assert found.summary["calibration_mae"].to_list()[1:] == [None, None]


def test_a_cutoff_is_judged_only_by_what_had_settled_at_it() -> None:
    rows = settled().with_columns(settled_at=pl.col("cutoff") + 40)
    found = choose_calibrator(rows, ["platt"])
    assert found.table["cutoff"].unique().sort().to_list() == [156, 184, 212]
    before = rows.filter(pl.col("cutoff") <= 212 - 40)
    here = rows.filter(pl.col("cutoff") == 212)
    fitted = Platt().fit(before["p"].to_numpy(), before["y"].to_numpy(), before["cutoff"])
    row = found.table.filter((pl.col("cutoff") == 212) & (pl.col("calibrator") == "platt"))
    expected = calibration_mae(here["y"], fitted(here["p"].to_numpy(), here["cutoff"]))
    assert row["calibration_mae"][0] == pytest.approx(expected, abs=1e-9)


def test_a_calibrator_that_cannot_be_fitted_is_refused_and_says_why() -> None:
    rows = settled()
    first = rows.with_columns(y=pl.when(pl.col("cutoff") == 100).then(0.0).otherwise("y"))
    found = choose_calibrator(first, ["platt"])
    assert found.name == "raw"
    assert "cannot be fitted before 128" in found.summary["why"][1]


def test_the_order_of_rows_does_not_matter_to_the_choice() -> None:
    rows = settled()
    a = choose_calibrator(rows, list(CALIBRATORS))
    b = choose_calibrator(rows.sample(fraction=1.0, shuffle=True, seed=3), list(CALIBRATORS))
    assert a.name == b.name
    assert a.table.equals(b.table)
    assert a.calibrated == b.calibrated


def test_bad_rows_and_names_are_refused() -> None:
    rows = settled(3)
    for bad, said in (
        (rows.drop("p"), "no column p"),
        (rows.clear(), "no rows"),
        (rows.with_columns(y=pl.lit(None, dtype=pl.Float64)), "y is missing"),
        (rows.with_columns(p=pl.lit(2.0)), "outside"),
        (rows.with_columns(cutoff=pl.lit(None, dtype=pl.Int64)), "rows without a cutoff"),
    ):
        with pytest.raises(BadInput, match=said):
            choose_calibrator(bad, ["platt"])
    with pytest.raises(BadInput, match="'plat'"):
        choose_calibrator(rows, ["plat"])
    with pytest.raises(BadInput, match="'spline'"):
        calibrated_of({"calibrator": "spline"})
