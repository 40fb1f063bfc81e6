from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.folds import (
    FoldPlan,
    check_folds,
    check_overlap,
    fold_of,
    grouped_folds,
    manifest,
    purged_splits,
)
from foreproof.core.grid import parse_grid
from foreproof.errors import BadInput, LawError

STEPS, DAYS = parse_grid("integer"), parse_grid("1d", zone="Europe/Paris")
NAMES = st.text("abcdefgh0123456789", min_size=1, max_size=4)


def rows(customers: int = 40, cutoffs: tuple[int, ...] = (0, 28, 56, 84)) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    table = [(f"c{i}", at) for at in cutoffs for i in range(customers)]
    frame = pl.DataFrame(table, schema={"customer": pl.String, "cutoff": pl.Int64}, orient="row")
    return frame.with_columns(label=pl.Series((rng.uniform(size=frame.height) < 0.3).astype(float)))


def test_the_fold_of_a_customer_is_a_hash_that_anyone_can_take() -> None:
    digest = hashlib.sha256(b"7:c12").hexdigest()
    assert fold_of("c12", folds=5, seed=7) == int(digest[:16], 16) % 5


@given(keys=st.lists(NAMES, min_size=1, max_size=30), others=st.lists(NAMES, max_size=10), seed=st.integers(0, 9))
def test_folds_depend_neither_on_the_order_of_customers_nor_on_who_else_is_there(
    keys: list[str], others: list[str], seed: int
) -> None:
    alone = dict(zip(keys, grouped_folds(keys, folds=4, seed=seed).tolist(), strict=True))
    mixed = [*others, *reversed(keys)]
    together = dict(zip(mixed, grouped_folds(mixed, folds=4, seed=seed).tolist(), strict=True))
    assert all(together[key] == fold for key, fold in alone.items())
    check_folds(mixed, grouped_folds(mixed, folds=4, seed=seed))


def test_folds_are_about_equal_and_another_seed_gives_others() -> None:
    names = [f"customer {i}" for i in range(5000)]
    one, two = (grouped_folds(names, folds=5, seed=seed) for seed in (1, 2))
    assert np.bincount(one, minlength=5).min() > 900
    assert 0.15 < float(np.mean(one == two)) < 0.25
    assert (
        grouped_folds(pl.Series([7, 8]), folds=5, seed=1).tolist()
        == grouped_folds(["7", "8"], folds=5, seed=1).tolist()
    )


@given(
    steps=st.integers(1, 60),
    delay=st.integers(0, 9),
    purge=st.integers(0, 20),
    cutoffs=st.lists(st.integers(0, 150), min_size=2, max_size=6, unique=True),
)
def test_no_split_shares_a_customer_or_learns_from_an_unsettled_label(
    steps: int, delay: int, purge: int, cutoffs: list[int]
) -> None:
    table = rows(12, tuple(cutoffs))
    plan = FoldPlan(STEPS, steps, folds=3, delay=delay, purge=purge)
    for split in purged_splits(table, plan, key="customer"):
        assert not set(split.train["customer"]) & set(split.test["customer"])
        assert all(o + steps + delay <= split.cutoff - purge for o in split.train["cutoff"])
        assert split.test["cutoff"].unique().to_list() == [split.cutoff]
        check_overlap(split.train, split.test, plan, key="customer")


def test_every_row_of_a_late_cutoff_is_tested_once_and_all_that_is_allowed_is_learned_from() -> None:
    table = rows()
    splits = list(purged_splits(table, FoldPlan(STEPS, 28, folds=4), key="customer"))
    last = [split for split in splits if split.cutoff == 84]
    assert sorted(name for split in last for name in split.test["customer"]) == sorted(f"c{i}" for i in range(40))
    for split in last:
        assert split.train["cutoff"].unique().sort().to_list() == [0, 28, 56]
        assert split.train.height == 3 * (40 - split.test.height)
    assert {split.cutoff for split in splits} == {28, 56, 84}


def test_a_purge_of_days_keeps_the_wall_clock_when_the_clocks_change() -> None:
    # Cutoffs are ends of days in Paris; the clocks change on 31 March 2024.
    at = [datetime(2024, 3, 20, 22, 59, 59, 999999, tzinfo=UTC), datetime(2024, 4, 3, 21, 59, 59, 999999, tzinfo=UTC)]
    table = pl.DataFrame(
        {"customer": [f"c{i}" for i in range(20)] * 2, "cutoff": [at[0]] * 20 + [at[1]] * 20},
        schema={"customer": pl.String, "cutoff": pl.Datetime("us", "UTC")},
    )
    exact, one_more = (FoldPlan(DAYS, 7, folds=2, purge=purge) for purge in (7, 8))
    assert list(purged_splits(table, exact, key="customer"))
    assert not list(purged_splits(table, one_more, key="customer"))


def test_the_manifest_counts_rows_customers_and_positives() -> None:
    table = rows()
    plan = FoldPlan(STEPS, 28, folds=4, seed=3, purge=2)
    found = manifest(table, plan, key="customer")
    assert found.counts["rows"].sum() == table.height
    assert found.counts["positives"].sum() == table["label"].sum()
    for fold, cutoff, n, customers, positives in found.counts.rows():
        inside = [
            row
            for row in table.iter_rows(named=True)
            if row["cutoff"] == cutoff and fold_of(row["customer"], folds=4, seed=3) == fold
        ]
        assert (n, positives) == (len(inside), sum(row["label"] for row in inside))
        assert customers == len({row["customer"] for row in inside})
    plain = json.loads(json.dumps(found.as_dict()))
    assert (plain["seed"], plain["folds"], plain["purge_days"], plain["grid"]) == (3, 4, 2, "integer")
    shuffled = manifest(table.sample(fraction=1.0, shuffle=True, seed=1), plan, key="customer")
    assert shuffled.counts.equals(found.counts)


def test_the_manifest_of_a_calendar_writes_instants() -> None:
    table = pl.DataFrame(
        {"customer": ["a"], "cutoff": [datetime(2024, 6, 30, tzinfo=UTC)], "label": [None]},
        schema={"customer": pl.String, "cutoff": pl.Datetime("us", "UTC"), "label": pl.Float64},
    )
    plain = json.loads(json.dumps(manifest(table, FoldPlan(DAYS, 28), key="customer").as_dict()))
    assert plain["counts"][0]["cutoff"].startswith("2024-06-30T00:00:00")
    assert plain["counts"][0]["positives"] == 0


def test_a_customer_on_both_sides_breaks_the_law() -> None:
    table = rows()
    train, test = table.filter(pl.col("cutoff") == 0), table.filter(pl.col("cutoff") == 84)
    with pytest.raises(LawError, match=r"40 customers in training and test \(first: c0\)"):
        check_overlap(train, test, FoldPlan(STEPS, 28), key="customer")
    with pytest.raises(LawError, match=r"1 customers in two folds \(first: b in folds 1, 2\)"):
        check_folds(["a", "b", "b"], np.array([1, 1, 2]))


def test_a_training_label_that_had_not_settled_breaks_the_law() -> None:
    table = rows()
    train = table.filter(pl.col("customer") < "c2")
    test = table.filter((pl.col("customer") >= "c2") & (pl.col("cutoff") >= 56))
    plan = FoldPlan(STEPS, 28, delay=1)
    early = train.filter(pl.col("cutoff") == 0)
    check_overlap(early, test, plan, key="customer")
    with pytest.raises(LawError, match="from cutoff 28 on that had not settled at test cutoff 56"):
        check_overlap(train, test, plan, key="customer")
    check_overlap(train.filter(pl.col("cutoff") <= 28), test, FoldPlan(STEPS, 28), key="customer")
    with pytest.raises(LawError, match="purge of 1"):
        check_overlap(train.filter(pl.col("cutoff") <= 28), test, FoldPlan(STEPS, 28, purge=1), key="customer")
    check_overlap(train.clear(), test, plan, key="customer")


def test_a_label_settles_at_the_very_end_of_its_window() -> None:
    at = datetime(2024, 1, 31, 22, 59, 59, 999999, tzinfo=UTC)
    later = at + timedelta(days=28)
    clock = pl.Datetime("us", "UTC")
    train = pl.DataFrame({"customer": ["a"], "cutoff": [at]}, schema={"customer": pl.String, "cutoff": clock})
    for end, fine in ((later, True), (later - timedelta(microseconds=1), False)):
        test = pl.DataFrame({"customer": ["b"], "cutoff": [end]}, schema={"customer": pl.String, "cutoff": clock})
        if fine:
            check_overlap(train, test, FoldPlan(DAYS, 28), key="customer")
        else:
            with pytest.raises(LawError, match="gap law"):
                check_overlap(train, test, FoldPlan(DAYS, 28), key="customer")


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 2"):
        grouped_folds(["a"], folds=1, seed=1)
    with pytest.raises(BadInput, match="1 rows without a customer"):
        grouped_folds(["a", None], folds=2, seed=1)  # type: ignore[list-item]
    for change, said in (({"folds": 1}, "folds: 1"), ({"steps": 0}, "steps: 0"), ({"purge": -1}, "purge: -1")):
        with pytest.raises(BadInput, match=said):
            FoldPlan(**{"grid": STEPS, "steps": 1, **change})  # type: ignore[arg-type]
    plan = FoldPlan(STEPS, 1)
    with pytest.raises(BadInput, match="no column customer"):
        list(purged_splits(rows().drop("customer"), plan, key="customer"))
    with pytest.raises(BadInput, match="no column label"):
        manifest(rows().drop("label"), plan, key="customer")
    with pytest.raises(BadInput, match="without cutoff"):
        manifest(rows().with_columns(cutoff=pl.lit(None, dtype=pl.Int64)), plan, key="customer")
