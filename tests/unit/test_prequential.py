"""A frozen model is told later cutoffs by what it had learned, and nothing that came after the freeze can change that."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import pair_shop as shop
from foreproof.core.clock import Moment, literal
from foreproof.core.logistic import logit, sigmoid
from foreproof.core.score_binary import auc, calibration_mae
from foreproof.engine.line import ladder
from foreproof.engine.pairs import PairServed, pair_builder, rows_under
from foreproof.engine.prequential import FreezeTerms, Months, frozen_rows, months_of, prequential
from foreproof.errors import BadInput
from foreproof.models.classify import load_classifier
from foreproof.workloads.propensity import PropensityPlan

PLAN = shop.plan(policy={"default": "full", "groups": {"bread": "safe"}})
DATA = shop.database(PLAN)
KEYS = ["customer", "kind", "cutoff"]


def last(made: PropensityPlan = PLAN) -> Moment:
    from foreproof.engine.cutoff import latest_cutoff

    return latest_cutoff(made, DATA)


FREEZE, LATER = (ladder(PLAN, last(), 4)[k] for k in (0, 2))


@pytest.fixture(scope="module")
def served() -> PairServed:
    one: PairServed = pair_builder(PLAN, shop.bench())(DATA, (FREEZE,), 3).forecasts.detail[FREEZE]
    return one


def test_at_its_freeze_a_model_says_what_it_served(served: PairServed) -> None:
    told = frozen_rows(PLAN, served, DATA, [FREEZE]).select(served.rows.columns).sort(KEYS)
    assert_frame_equal(told, served.rows.sort(KEYS))


def test_what_came_after_the_freeze_cannot_change_what_was_learned(served: PairServed) -> None:
    """Purchases after the later cutoff are dropped: the freeze, and what it says of that cutoff, are the same."""
    seen = shop.lines().filter(pl.col("day") <= LATER.date())  # type: ignore[union-attr]
    short = shop.database(PLAN, seen)
    again = pair_builder(PLAN, shop.bench())(short, (FREEZE,), 3).forecasts.detail[FREEZE]
    before, after = (frozen_rows(PLAN, one, data, [LATER]) for one, data in ((served, DATA), (again, short)))
    assert_frame_equal(before, after)
    refitted = pair_builder(PLAN, shop.bench())(DATA, (LATER,), 3).forecasts.detail[LATER]
    joined = before.join(refitted.rows.select(*KEYS, pl.col("p").alias("new")), on=KEYS)
    assert float((joined["p"] - joined["new"]).abs().max()) > 1e-3, "a refit would have been seen"  # type: ignore[arg-type]


def test_a_frozen_chance_is_that_of_the_dumped_members_blended_and_calibrated_by_hand(served: PairServed) -> None:
    from foreproof.core.model import Now
    from foreproof.engine.pairs import nothing_said, pair_rows

    told = frozen_rows(PLAN, served, DATA, [LATER]).sort(KEYS)
    panel = PLAN.task.panel(DATA)
    rows = pair_rows(PLAN, DATA, panel, [LATER])
    weights = served.weights
    for group, policy in (("bread", "safe"), ("cheese", "full")):
        here = told.filter(pl.col("kind") == group)
        own = rows_under(PLAN, policy, rows.filter(pl.col("kind") == group))
        now = Now(PLAN.task.frame, LATER, nothing_said(panel), lambda own=own: own)  # type: ignore[misc]
        z: Any = []
        for model in PLAN.models:
            fitted = load_classifier(model, dict(served.dumps[f"{policy}.{model.name}"].iter_rows()))
            said = fitted.predict(now).rows.select(*KEYS, "value")
            z.append(
                logit(here.select(KEYS).join(said, on=KEYS, how="left", maintain_order="left")["value"].to_numpy())
            )
        for place, row in enumerate(here.iter_rows(named=True)):
            choice = served.chances.own[row["segment"], group]
            w = weights.fine[row["segment"]][group]
            raw = sigmoid(np.array([w[0] * z[0][place] + w[1] * z[1][place]]))
            if choice.estimator != "blend":
                raw = np.array([row[choice.estimator]])
            p = choice.calibrated(raw, pl.Series([row["cutoff"]]))
            assert row["p"] == pytest.approx(float(p[0]), abs=1e-12)


def test_each_month_is_scored_by_itself_and_a_censored_one_is_flagged() -> None:
    terms = FreezeTerms(replicates=40)
    found = prequential(PLAN, DATA, ["plan", "safe"], terms, shop.bench())
    assert found.months.cutoffs == (*ladder(PLAN, last(), 4),)
    assert found.months.settled == 3
    flags = found.flags.filter(pl.col("flag").str.contains("censored"))
    assert flags["month"].to_list() == [4]
    for name in ("plan", "safe"):
        for month in (1, 2, 3):
            here = found.rows.filter(pl.col("month") == month, pl.col("segment") == "whitespace")
            scores = found.scores.filter(
                pl.col("variant") == name, pl.col("month") == month, pl.col("segment") == "whitespace"
            )
            value = dict(scores.select("metric", "value").iter_rows())
            assert value["auc"] == pytest.approx(auc(here["y"], here[name]))
            assert value["calibration_mae"] == pytest.approx(calibration_mae(here["y"], here[name]))
            assert (scores["low"] <= scores["value"] + 1e-9).sum() >= len(value) - 1  # an error that is never negative
    again = prequential(PLAN, DATA, ["plan", "safe"], terms, shop.bench())
    assert_frame_equal(found.scores, again.scores)
    one = prequential(PLAN, DATA, ["safe"], FreezeTerms(("bread", "dill")[:1], months=1, replicates=5), shop.bench())
    assert set(one.scores["group"]) == {"bread"}
    assert one.rows.filter(pl.col("cutoff") != literal(FREEZE)).is_empty()


def test_a_month_with_too_few_buyers_has_scores_without_intervals_or_none_and_says_so() -> None:
    rare = shop.lines().filter((pl.col("day") <= FREEZE.date()) | (pl.col("customer") == "c00"))  # type: ignore[union-attr]
    made = shop.plan(cutoff=str(LATER.date()))  # type: ignore[union-attr]
    terms = FreezeTerms(freeze=str(FREEZE.date()), months=1, replicates=30)  # type: ignore[union-attr]
    found = prequential(made, shop.database(made, rare), ["full"], terms, shop.bench())
    flags = dict(found.flags.select("segment", "flag").iter_rows())
    assert all("buyer" in flag or "base rate" in flag for flag in flags.values())
    assert found.scores.filter(pl.col("low").is_not_null()).is_empty()


def test_the_far_months_are_the_later_half_and_never_the_first() -> None:
    at = tuple(range(9))
    assert [Months(0, at, n).far for n in (1, 2, 3, 4, 5)] == [(), (2,), (2, 3), (3, 4), (3, 4, 5)]


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (FreezeTerms(months=0), "--months: 0; wanted 1 or more"),
        (FreezeTerms(window=0), "--window: 0; wanted 1 or more"),
        (FreezeTerms(freeze="2023-12-01"), "before the first fact"),
        (FreezeTerms(freeze="2024-07-15"), "after the last settled cutoff"),
        (FreezeTerms(freeze="2024-01-09"), "no earlier origin"),
        (FreezeTerms(freeze="soon"), "wanted a date"),
        (FreezeTerms(groups=("eggs",)), "'eggs', an unknown group"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused(terms: FreezeTerms, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        prequential(PLAN, DATA, ["plan"], terms, shop.bench())


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(BadInput, match="'oracle'"):
        prequential(PLAN, DATA, ["oracle"], FreezeTerms(), shop.bench())
    with pytest.raises(BadInput, match="each once"):
        prequential(PLAN, DATA, ["full", "full"], FreezeTerms(), shop.bench())


def test_a_freeze_is_the_end_of_its_day_and_months_go_by_the_window() -> None:
    panel = PLAN.task.panel(DATA)
    found = months_of(PLAN, DATA, panel, FreezeTerms(freeze="2024-05-10", months=3, window=7))
    grid = PLAN.task.series.grid
    assert [grid.say(cutoff) for cutoff in found.cutoffs] == ["2024-05-10", "2024-05-17", "2024-05-24"]
    assert found.settled == 3
