"""Why a pair has its chance, and groups judged on their own."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import polars as pl
import pytest

import pair_shop
from foreproof.app.api.models import ModelShelf
from foreproof.app.artefacts_pairs import group_weights
from foreproof.core.clusters import statistics_of
from foreproof.core.predict import CUTOFF
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.judge_groups import judge_groups
from foreproof.engine.pairs import pair_builder
from foreproof.engine.score_pairs import matrix_of, open_member, parts_of_chance, seen_of, words_for


@pytest.fixture(scope="module")
def made() -> Any:
    """A shop whose groups choose between a boost and a logistic: plan, cutoff, rows of features, what is served."""
    plan = pair_shop.plan(models=["logistic", {"boost": {"trees": 20}}], choice="group")
    database = pair_shop.database(plan)
    cutoff = latest_cutoff(plan, database)
    built = pair_builder(plan, pair_shop.bench())(database, (cutoff,), 1)
    return plan, cutoff, built.rows, built.forecasts.detail[cutoff]


def test_contributions_of_a_pair_add_up_to_the_log_odds_of_its_chance_before_calibration(made: Any) -> None:
    plan, cutoff, rows, served = made
    entity = list(plan.task.entity)
    rows = rows.sort(entity).join(
        served.rows.select(*entity, "segment", "raw"), on=entity, how="inner", maintain_order="left"
    )
    features = rows.drop("segment", "raw")
    members = {name: open_member(plan, name, dict(dump.iter_rows())) for name, dump in served.dumps.items()}
    matrices = {name: matrix_of(plan, member, features) for name, member in members.items()}
    weights = group_weights(cutoff, served)
    several = 0
    for (segment, group), some in weights.group_by(["segment", plan.task.group]):
        at = np.flatnonzero(((rows["segment"] == segment) & (rows[plan.task.group] == group)).to_numpy())
        asked = [(members[name], matrices[name], weight) for name, weight in some.select("model", "weight").iter_rows()]
        assert sum(weight for *_, weight in asked) == pytest.approx(1.0)
        several += sum(weight > 0 for *_, weight in asked) > 1
        parts = parts_of_chance(asked, at)
        assert parts is not None
        raw = rows["raw"].to_numpy()[at]
        assert np.allclose(parts.base + parts.values.sum(axis=1), np.log(raw / (1 - raw)), atol=1e-6)
        assert set(parts.names) <= set(words_for(plan).labels)
    assert several


def test_an_open_booster_says_what_the_fitted_one_says(made: Any) -> None:
    from foreproof.core.model import Now
    from foreproof.models.classify import load_classifier

    plan, cutoff, rows, served = made
    files = dict(served.dumps["boost"].iter_rows())
    fitted, opened = load_classifier(plan.models[1], files), open_member(plan, "boost", files)
    now = Now(plan.task.frame, cutoff, rows.select(plan.task.entity).clear(), lambda: rows)
    assert fitted.predict(now).rows.equals(opened.predict(now).rows)
    assert fitted.contributions(now).equals(opened.contributions(now))


def test_groups_are_scored_as_their_rows_alone_would_be() -> None:
    plan, rng = pair_shop.plan(), np.random.default_rng(2)
    p = rng.uniform(0.02, 0.9, 300)
    frame = pl.DataFrame(
        {
            "customer": [f"c{i}" for i in range(300)],
            "kind": [("apples", "bread", "cheese")[i % 3] for i in range(300)],
            CUTOFF: [1] * 300,
            "segment": ["whitespace" if i < 200 else "repeat" for i in range(300)],
            "p": p,
            # nobody buys cheese: a group without an outcome has a base rate and nothing else
            "y": np.where(np.arange(300) % 3 == 2, 0.0, (rng.random(300) < p).astype(float)),
        }
    )
    found = judge_groups(plan, frame)
    for segment in ("whitespace", "repeat", "pooled"):
        for group in ("apples", "bread", "cheese", None):
            own = frame.filter(
                pl.lit(segment == "pooled") | (pl.col("segment") == segment),
                pl.lit(group is None) | (pl.col("kind") == (group or "")),
            )
            here = (pl.col("kind").eq_missing(pl.lit(group, dtype=pl.String))) & (pl.col("segment") == segment)
            said = dict(found.scores.filter(here).select("metric", "value").iter_rows())
            assert said.pop("base_rate") == pytest.approx(float(own["y"].mean()))  # type: ignore[arg-type]
            wanted = {}
            if group != "cheese":
                scores = statistics_of(own["y"].to_numpy(), own["p"].to_numpy(), names=tuple(said))
                wanted = {name: score(np.ones(own.height)) for name, score in scores.items()}
            assert said == pytest.approx(wanted)
            tenths = found.gains.filter(here)
            if group != "cheese":
                best = own.sort("p", descending=True)
                for tenth, pairs, buyers, least in tenths.select("tenth", "pairs", "buyers", "least").iter_rows():
                    part = best.filter(pl.int_range(pl.len()) * 10 // pl.len() + 1 == tenth)
                    assert (part.height, part["y"].sum(), part["p"].min()) == (pairs, buyers, least)
            else:
                assert tenths.is_empty()


def test_the_interval_of_a_chance_is_that_of_the_nearest_bin_and_holds_it() -> None:
    bins = {"mean_p": [0.1, 0.3], "mean_y": [0.1, 0.5], "low": [0.05, 0.4], "high": [0.2, 0.6], "n": [50.0, 50.0]}
    seen = seen_of(pl.DataFrame(bins))
    assert seen.around(0.12) == (0.05, 0.2, 50)
    assert seen.around(0.27) == (0.27, 0.6, 50)
    low, high, pairs = seen.rate(0.3)
    assert (pairs, seen.buyers) == (100, 30.0) and 0.2 < low < 0.3 < high < 0.4


def test_a_shelf_makes_a_thing_once_and_lets_the_oldest_go_first() -> None:
    shelf, made = ModelShelf(most=100), count()
    assert [shelf.get("a", lambda: (next(made), 60)) for _ in range(3)] == [0, 0, 0]
    assert shelf.get("b", lambda: (next(made), 30)) == 1
    shelf.get("a", lambda: (next(made), 60))
    assert shelf.get("c", lambda: (next(made), 40)) == 2 and shelf.bytes == 100
    assert shelf.get("a", lambda: (next(made), 60)) == 0
    assert shelf.get("b", lambda: (next(made), 30)) == 3
    # larger than all that may be kept: it is given, and only it is kept
    assert shelf.get("d", lambda: (next(made), 500)) == 4 and shelf.bytes == 500
