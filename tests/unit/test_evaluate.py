"""Served predictions against outcomes, held to plain loops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from foreproof.core.monitor import Monitor, parse_monitor
from foreproof.core.section import Section
from foreproof.engine.evaluate import evaluate, scores_by, standing
from foreproof.errors import PlanError

DAY = datetime(2024, 5, 1, tzinfo=UTC)
LEVELS = (None, 0.1, 0.5, 0.9)


def predictions(series: int = 3, cutoffs: int = 2, steps: int = 4) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = [
        (
            f"s{i}",
            DAY + timedelta(days=c),
            step,
            level,
            10.0 + 3 * i + step + (0 if level is None else 4 * (level - 0.5)),
        )
        for i in range(series)
        for c in range(cutoffs)
        for step in range(1, steps + 1)
        for level in LEVELS
    ]
    rows = [(*row[:4], row[4] + float(rng.normal(0, 0.1))) for row in rows]
    schema = {
        "item": pl.String,
        "cutoff": pl.Datetime("us", "UTC"),
        "step": pl.Int64,
        "level": pl.Float64,
        "value": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def truth_of(said: pl.DataFrame, *, up_to: int) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    index = (
        said.select("item", "cutoff", "step").unique().sort("item", "cutoff", "step").filter(pl.col("step") <= up_to)
    )
    y = [None if i == 0 else float(v) for i, v in enumerate(rng.normal(14, 3, index.height))]
    return index.with_columns(pl.Series("y", y, dtype=pl.Float64))


def test_each_known_outcome_stands_beside_its_quantiles_and_nothing_else_does() -> None:
    said = predictions()
    truth = truth_of(said, up_to=3)
    found = evaluate(said, truth)
    wanted = {(item, cutoff, step): y for item, cutoff, step, y in truth.iter_rows() if y is not None}
    assert found.height == len(wanted) == 3 * 2 * 3 - 1
    values = {(item, cutoff, step, level): value for item, cutoff, step, level, value in said.iter_rows()}
    for row in found.iter_rows(named=True):
        key = (row["item"], row["cutoff"], row["step"])
        assert row["y"] == wanted[key]
        assert row["mean"] == values[(*key, None)]
        assert (row["q0.1"], row["q0.9"]) == (values[(*key, 0.1)], values[(*key, 0.9)])
        assert row["inside"] == (row["q0.1"] <= row["y"] <= row["q0.9"])


def test_scores_by_cutoff_equal_a_plain_loop() -> None:
    said = predictions()
    found = evaluate(said, truth_of(said, up_to=4))
    for row in scores_by(found, ("cutoff",)).iter_rows(named=True):
        part = [one for one in found.iter_rows(named=True) if one["cutoff"] == row["cutoff"]]
        error = [one["mean"] - one["y"] for one in part]
        size = sum(abs(one["y"]) for one in part)
        loss = [
            max(level * (one["y"] - one[name]), (level - 1) * (one["y"] - one[name]))
            for one in part
            for level, name in ((0.1, "q0.1"), (0.5, "q0.5"), (0.9, "q0.9"))
        ]
        assert row["n"] == len(part)
        assert row["wape"] == pytest.approx(sum(map(abs, error)) / size)
        assert row["bias"] == pytest.approx(sum(error) / size)
        assert row["pinball"] == pytest.approx(sum(loss) / len(loss))
        assert row["coverage"] == pytest.approx(sum(one["inside"] for one in part) / len(part))


def test_only_the_newest_cutoffs_count_and_a_threshold_that_is_left_is_said_in_words() -> None:
    said = predictions(cutoffs=3)
    found = evaluate(said, truth_of(said, up_to=4))
    far = found.with_columns(pl.col("y") * 3, pl.lit(False).alias("inside"))
    calm = standing(
        found.with_columns(pl.col("mean").alias("y"), pl.lit(True).alias("inside")),
        Monitor(least=1, coverage=(0.7, 1.0)),
    )
    assert (calm.alerts, calm.scored) == ((), found.height)
    one = standing(far, Monitor(least=1, cutoffs=1, wape=0.1), usual_wape=0.05)
    assert one.scored == far.filter(pl.col("cutoff") == pl.col("cutoff").max()).height
    assert [words.split(" ")[0] for words in one.alerts] == ["the", "WAPE", "WAPE"]
    assert "wanted 70% to 90%" in one.alerts[0]
    assert standing(far, Monitor(least=10_000, wape=0.1)).alerts == ()
    assert one.over_time.height == 3


def test_chances_are_judged_by_what_was_said_and_seen() -> None:
    cutoff = pl.lit(DAY).cast(pl.Datetime("us", "UTC")).alias("cutoff")
    said = pl.DataFrame({"who": [f"a{i}" for i in range(40)], "p": [0.9] * 20 + [0.1] * 20}).select(
        "who", cutoff, pl.lit(14, pl.Int64).alias("step"), "p"
    )
    truth = said.select("who", "cutoff", "step", pl.Series("y", [0.0] * 30 + [1.0] * 10))
    found = standing(evaluate(said, truth), Monitor(auc=0.6))
    assert found.scores["said"] == pytest.approx(0.5)
    assert found.scores["seen"] == pytest.approx(0.25)
    assert found.calibration.rows() == [(1, pytest.approx(0.1), 0.5, 20), (9, pytest.approx(0.9), 0.0, 20)]
    assert len(found.alerts) == 2
    assert "50.0%" in found.alerts[0]
    assert "AUC" in found.alerts[1]


def test_thresholds_come_from_the_plan_and_a_wrong_one_names_itself() -> None:
    given = {"coverage": [0.6, 0.95], "wape": 0.3, "least": 5}
    assert parse_monitor(Section(given, path="monitor")) == Monitor(least=5, coverage=(0.6, 0.95), wape=0.3)
    for wrong, name in (({"coverage": [0.9, 0.1]}, "monitor.coverage"), ({"wpe": 1.0}, "monitor.wpe")):
        with pytest.raises(PlanError) as caught:
            parse_monitor(Section(wrong, path="monitor"))
        assert caught.value.subject == name
