"""Estimator and calibrator by group: judged forward in time, raw where no calibrator is better, a badge where buyers are few."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import pair_shop as shop
from foreproof.core.logistic import logit, sigmoid
from foreproof.core.score_binary import log_loss
from foreproof.engine.chances import learn_chances, say
from foreproof.models.blend import learn_blend

PLAN = shop.plan(calibration=["platt"])
MEMBERS = ("logistic", "stiff")
N = 400


def settled(
    groups: dict[str, tuple[float, float]],
    *,
    cutoffs: tuple[int, ...] = (10, 20, 30),
    twice: str = "",
    few: str = "",
    late: bool = False,
) -> pl.DataFrame:
    """groups: the noise of each member. twice: a group whose members are overconfident. few: one with hardly a buyer."""
    rng = np.random.default_rng(6)
    parts = []
    for at in cutoffs:
        for group, noise in groups.items():
            truth = rng.normal(size=N) - (5.0 if group == few else 1.0)
            scale = 3.0 if group == twice else 1.0
            said = {m: sigmoid(scale * (truth + s * rng.normal(size=N))) for m, s in zip(MEMBERS, noise, strict=True)}
            y = (rng.uniform(size=N) < sigmoid(truth)).astype(float)
            columns: dict[str, Any] = {
                "customer": [f"c{i:03d}" for i in range(N)],
                "kind": [group] * N,
                "cutoff": [at] * N,
                "segment": ["whitespace"] * N,
                "settled_at": [at + (100 if late else 10)] * N,
            }
            parts.append(pl.DataFrame({**columns, **said, "y": y}))
    return pl.concat(parts).sort("customer", "kind", "cutoff")


def by_group(rows: pl.DataFrame, **changes: Any) -> dict[str, dict[str, Any]]:
    table = learn_chances(replace(PLAN, **changes), rows)[0].table()
    return {row["kind"]: row for row in table.iter_rows(named=True)}


def test_a_member_takes_the_place_of_the_blend_only_where_it_was_surely_better() -> None:
    # In one group of eight a member is right where the other seven drag the weights to its rival, and shrinkage keeps them there.
    rows = settled({**dict.fromkeys("abcdefg", (3.0, 0.1)), "h": (0.0, 6.0)})
    found = by_group(rows)
    assert found["h"]["estimator"] == "logistic"
    assert "standard error" in found["h"]["why"]
    same = settled({"a": (0.5, 0.5), "b": (0.5, 0.5)})
    assert {row["estimator"] for row in by_group(same).values()} == {"blend"}
    # What had not settled at a later cutoff judges nothing.
    unsettled = by_group(settled({**dict.fromkeys("abcdefg", (3.0, 0.1)), "h": (0.0, 6.0)}, late=True))
    assert unsettled["h"]["estimator"] == "blend"


def test_a_group_that_is_overconfident_has_a_calibrator_of_its_own_and_the_others_stay_raw() -> None:
    rows = settled({**dict.fromkeys("abcdefg", (0.0, 0.0)), "z": (0.0, 0.0)}, twice="z")
    found = by_group(rows)
    assert found["z"]["calibrator"] == "platt"
    pooled = by_group(rows, choice="pooled")
    assert len({row["calibrator"] for row in pooled.values()}) == 1
    chances, _ = learn_chances(PLAN, rows)
    later = settled({**dict.fromkeys("abcdefg", (0.0, 0.0)), "z": (0.0, 0.0)}, twice="z", cutoffs=(40,))
    mixed, _ = learn_chances(replace(PLAN, choice="pooled"), rows)
    z = later["kind"] == "z"
    told = {name: say(one, later).filter(z) for name, one in (("own", chances), ("pooled", mixed))}
    loss = {name: log_loss(one["y"], one["p"]) for name, one in told.items()}
    assert loss["own"] < loss["pooled"]


def test_a_group_with_too_few_buyers_says_so_and_believes_what_its_segment_does() -> None:
    rows = settled({"a": (0.5, 0.5), "rare": (0.5, 0.5)}, few="rare")
    found = by_group(rows)
    assert found["rare"]["buyers"] < 30
    assert (found["rare"]["badge"], found["a"]["badge"]) == ("heuristic", "model")
    assert found["rare"]["estimator"] == "blend"
    assert "fewer than 30" in found["rare"]["why"]
    chances, _ = learn_chances(PLAN, rows)
    assert found["rare"]["calibrator"] == chances.chosen["whitespace"].name


def test_a_calibrator_is_refused_where_it_is_worse_than_none() -> None:
    rows = settled({"a": (0.0, 0.0), "b": (0.0, 0.0)})
    table = learn_chances(PLAN, rows)[0].chosen["whitespace"].summary
    platt = table.filter(pl.col("calibrator") == "platt").row(0, named=True)
    raw = table.filter(pl.col("calibrator") == "raw").row(0, named=True)
    if platt["calibration_mae"] > raw["calibration_mae"] or platt["brier"] > raw["brier"]:
        assert platt["refused"]
    else:
        assert platt["chosen"] or raw["chosen"]


def test_what_is_said_keeps_the_order_of_rows_and_a_group_not_seen_before_has_what_its_segment_has() -> None:
    chances, told = learn_chances(PLAN, settled({"a": (0.5, 0.5), "b": (0.2, 2.0)}))
    rows = told.select("customer", "kind", "cutoff", "segment", *MEMBERS)
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    said = say(chances, shuffled)
    assert said.select(rows.columns).equals(shuffled)
    back = said.sort("customer", "kind", "cutoff")
    assert np.allclose(back["p"].to_numpy(), say(chances, rows)["p"].to_numpy(), atol=1e-12)
    new = say(chances, rows.with_columns(pl.lit("new").alias("kind")))
    w = chances.weights.own["whitespace"]
    raw = sigmoid(w[0] * logit(rows["logistic"].to_numpy()) + w[1] * logit(rows["stiff"].to_numpy()))
    assert np.allclose(new["raw"].to_numpy(), raw)
    assert new["base"].to_list() == pytest.approx([chances.rest] * new.height)


def test_weights_of_a_group_go_from_those_of_its_segment_to_its_own_by_its_buyers() -> None:
    rows = settled({"a": (0.2, 2.0), "b": (2.0, 0.2)})
    fine = learn_blend(rows, MEMBERS, segment="segment", group="kind", half=50.0)
    a = rows.filter(pl.col("kind") == "a")
    alone = learn_blend(a, MEMBERS, half=0.0)
    n = float(a["y"].sum())
    share = n / (n + 50.0)
    wanted = (1 - share) * np.array(fine.own["whitespace"]) + share * np.array(alone.weights)
    assert fine.fine["whitespace"]["a"] == pytest.approx(wanted.tolist(), abs=1e-4)
    assert fine.fine["whitespace"]["a"][0] > 0.8 > 0.2 > fine.fine["whitespace"]["b"][0]
