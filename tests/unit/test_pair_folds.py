"""Folds of a propensity: each customer in one, no label from the future, and a score of members that never saw the customer."""

from __future__ import annotations

import polars as pl
import pytest

import pair_shop as shop
from foreproof.core.folds import fold_of
from foreproof.core.score_binary import auc
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.folds import fold_customers
from foreproof.engine.line import ladder
from foreproof.engine.pairs import pair_builder

PLAN = shop.plan(folds={"count": 3, "purge": 1, "score": True}, models=["logistic"])


def test_customers_are_cut_once_and_scored_out_of_their_fold() -> None:
    data, bench = shop.database(PLAN), shop.bench()
    cutoff = ladder(PLAN, latest_cutoff(PLAN, data), 2)[0]
    served = pair_builder(PLAN, bench)(data, (cutoff,), 3).forecasts.detail[cutoff]
    found = fold_customers(PLAN, data, cutoff, served, bench)
    assert found.assigned["customer"].is_unique().all()
    assert dict(found.assigned.iter_rows()) == {
        name: fold_of(name, folds=3, seed=3) for name in found.assigned["customer"]
    }
    assert {name: found.manifest[name] for name in ("seed", "folds", "purge_days", "splits", "overlap")} == {
        "seed": 3, "folds": 3, "purge_days": 1, "splits": 3, "overlap": 0,
    }  # fmt: skip
    assert int(found.counts["rows"].sum()) == sum(count["rows"] for count in found.manifest["counts"])
    ours = found.scores.filter(pl.col("who") == "foreproof", pl.col("metric") == "auc")
    assert set(ours["segment"]) == {"repeat", "whitespace"}
    labels = PLAN.task.panel(data).labels((cutoff,)).select("customer", "kind", "y")
    forward = served.rows.join(labels, on=["customer", "kind"]).filter(pl.col("segment") == "repeat")
    row = ours.filter(pl.col("segment") == "repeat").row(0, named=True)
    assert row["forward"] == pytest.approx(auc(forward["y"], forward["p"]))
    assert row["cross"] != row["forward"]
    assert abs(row["cross"] - row["forward"]) < 0.1, "members that saw other customers know nearly as much"


def test_without_a_wish_nothing_is_fitted_again() -> None:
    made = shop.plan(models=["logistic"])
    data, bench = shop.database(made), shop.bench()
    cutoff = ladder(made, latest_cutoff(made, data), 2)[0]
    served = pair_builder(made, bench)(data, (cutoff,), 3).forecasts.detail[cutoff]
    fits = len(bench.store.steps)  # type: ignore[attr-defined]
    found = fold_customers(made, data, cutoff, served, bench)
    assert found.scores.is_empty()
    assert len(bench.store.steps) == fits  # type: ignore[attr-defined]
    assert found.manifest["folds"] == 5
