from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import naive_binary as naive
from foreproof.core.clusters import cluster_bootstrap, statistics_of
from foreproof.core.score_binary import auc
from foreproof.errors import BadInput


def world(customers: int = 200, each: int = 4, seed: int = 1) -> tuple[Any, Any, Any]:
    """Rows of one customer share most of their risk."""
    rng = np.random.default_rng(seed)
    risk = np.repeat(rng.normal(size=customers), each)
    y = (risk + 0.3 * rng.normal(size=risk.size) > 0.7).astype(float)
    p = 1.0 / (1.0 + np.exp(-(risk + rng.normal(size=risk.size))))
    return np.repeat(np.arange(customers), each), y, p


def test_each_draw_scores_the_rows_of_the_customers_that_were_drawn() -> None:
    clusters, y, p = world(customers=12)
    found = cluster_bootstrap(clusters, statistics_of(y, p), rng=np.random.default_rng(5), replicates=20)
    rng = np.random.default_rng(5)
    for place in range(20):
        rows = naive.redrawn(clusters.tolist(), rng.integers(12, size=12).tolist())
        if len({y[i] for i in rows}) < 2:
            assert np.isnan(found.draws["auc"][place])
            continue
        ys, ps = [y[i] for i in rows], [p[i] for i in rows]
        assert found.draws["auc"][place] == pytest.approx(naive.auc(ys, ps), abs=1e-9)
        assert found.draws["capture10"][place] == pytest.approx(naive.capture_at(ys, ps, 0.1), abs=1e-9)
        assert found.draws["calibration_mae"][place] == pytest.approx(naive.calibration_mae(ys, ps, 10), abs=1e-9)
        assert found.draws["brier"][place] == pytest.approx(naive.brier(ys, ps), abs=1e-9)


def test_the_interval_is_that_of_the_percentiles_around_the_score_of_all_rows() -> None:
    clusters, y, p = world()
    found = cluster_bootstrap(clusters, statistics_of(y, p), rng=np.random.default_rng(2), confidence=0.8)
    interval = found.intervals["auc"]
    assert interval.estimate == pytest.approx(auc(y, p))
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(found.draws["auc"], [0.1, 0.9])))
    assert interval.low < interval.estimate < interval.high
    assert (interval.confidence, found.clusters) == (0.8, 200)


def test_customers_that_come_often_make_the_interval_wider_than_rows_would() -> None:
    clusters, y, p = world(each=16)

    def width(labels: Any) -> float:
        draw = cluster_bootstrap(
            labels, statistics_of(y, p, names=["capture10"]), rng=np.random.default_rng(3), replicates=400
        )
        return draw.intervals["capture10"].high - draw.intervals["capture10"].low

    assert width(clusters) > 1.3 * width(np.arange(y.size))


def test_a_difference_on_the_same_draws_is_narrower_than_two_apart() -> None:
    clusters, y, p = world()
    other = np.clip(p + 0.01 * np.random.default_rng(4).normal(size=p.size), 0.0, 1.0)
    statistics = {
        **{f"a.{name}": one for name, one in statistics_of(y, p).items()},
        **{f"b.{name}": one for name, one in statistics_of(y, other).items()},
    }
    found = cluster_bootstrap(clusters, statistics, rng=np.random.default_rng(6), pairs=[("a.auc", "b.auc")])
    difference, one = found.differences["a.auc", "b.auc"], found.intervals["a.auc"]
    assert difference.estimate == pytest.approx(auc(y, p) - auc(y, other))
    assert difference.high - difference.low < 0.3 * (one.high - one.low)
    draws = found.draws["a.auc"] - found.draws["b.auc"]
    assert (difference.low, difference.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))


def test_the_same_seed_gives_the_same_draws_whatever_the_labels_are_called() -> None:
    clusters, y, p = world(customers=30)
    names = np.array([f"c{label:03d}" for label in clusters])
    a, b = (
        cluster_bootstrap(labels, statistics_of(y, p), rng=np.random.default_rng(1), replicates=50).intervals
        for labels in (clusters, names)
    )
    assert a == b


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    _, big_y, big_p = world(customers=20_000, seed=99)
    truth = auc(big_y, big_p)
    hits = 0
    for trial in range(60):
        clusters, y, p = world(customers=150, seed=1000 + trial)
        found = cluster_bootstrap(
            clusters, statistics_of(y, p, names=["auc"]), rng=np.random.default_rng(trial), replicates=200
        )
        hits += found.intervals["auc"].low <= truth <= found.intervals["auc"].high
    assert hits >= 51  # 57 of 60 expected; fewer than 51 has a chance below 1%


def test_a_thousand_draws_of_sixty_thousand_rows_take_seconds() -> None:
    clusters, y, p = world(customers=2_500, each=24)
    statistics = statistics_of(y, p, names=["auc", "capture10", "lift10"])
    start = time.process_time()
    cluster_bootstrap(clusters, statistics, rng=np.random.default_rng(1), replicates=100)
    assert time.process_time() - start < 4.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clusters": [1, 1, 1]}, "one cluster"),
        ({"clusters": []}, "one label a row"),
        ({"clusters": ["a", None, "b"]}, "no label in 1 rows"),
        ({"clusters": [1.0, float("nan"), 2.0]}, "no label in 1 rows"),
        ({"replicates": 0}, "0 replicates"),
        ({"confidence": 1.0}, "confidence 1.0"),
        ({"pairs": [("auc", "brier")]}, "a pair with 'brier'"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"clusters": ["a", "b", "c"], "statistics": {"auc": lambda weight: 0.5}, **change}
    with pytest.raises(BadInput, match=said):
        cluster_bootstrap(given.pop("clusters"), given.pop("statistics"), rng=np.random.default_rng(1), **given)


def test_a_statistic_without_a_value_on_many_draws_is_refused() -> None:
    y, p = [1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3]
    with pytest.raises(BadInput, match=r"auc has no value on \d+ of 100 draws of 4 clusters"):
        cluster_bootstrap([1, 2, 3, 4], statistics_of(y, p), rng=np.random.default_rng(1), replicates=100)


def test_what_a_statistic_refuses_on_all_rows_goes_through() -> None:
    with pytest.raises(BadInput, match="no positive outcome"):
        cluster_bootstrap(
            [1, 2], statistics_of([0, 0], [0.1, 0.2], names=["auc"]), rng=np.random.default_rng(1), replicates=5
        )


def test_an_unknown_score_is_refused_and_so_are_scores_that_are_no_probabilities() -> None:
    with pytest.raises(BadInput, match="'gini'"):
        statistics_of([0, 1], [0.1, 0.2], names=["gini"])
    statistic = statistics_of([0, 1], [0.1, 20.0], names=["calibration_mae"])["calibration_mae"]
    with pytest.raises(BadInput, match="wanted probabilities"):
        statistic(np.ones(2))
