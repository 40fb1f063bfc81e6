"""A model card keeps the figures it was given, goes to JSON, and is held against the card before it."""

from __future__ import annotations

import json

from foreproof.core.trial import Verdict
from foreproof.explain import Card, Figure, compare, known_limits


def card(*figures: Figure) -> Card:
    return Card("shop", "propensity", "abc", "2024-06-30", "proven", "calls", group="bread", figures=figures)


def test_a_card_is_plain_values_and_a_number_that_is_not_finite_is_none() -> None:
    made = card(Figure("auc", 0.7, 0.6, 0.8, n=40), Figure("lift", float("nan")))
    read = json.loads(json.dumps(made.as_dict(), allow_nan=False))
    assert read["figures"][0] == {"name": "auc", "value": 0.7, "low": 0.6, "high": 0.8, "unit": "", "n": 40}
    assert read["figures"][1]["value"] is None
    assert made.title == "shop: bread"


def test_figures_are_compared_by_name_and_only_where_both_cards_have_them() -> None:
    before = card(Figure("auc", 0.6, 0.55, 0.65, n=30), Figure("old", 1.0), Figure("rate", None)).as_dict()
    rows = compare(card(Figure("auc", 0.8, 0.7, 0.9, n=50), Figure("new", 1.0), Figure("rate", 0.1)), before)
    assert [row["figure"] for row in rows] == ["auc"]
    assert abs(rows[0]["change"] - 0.2) < 1e-12
    assert abs(rows[0]["width_now"] - 0.2) < 1e-12
    assert (rows[0]["n_before"], rows[0]["n_now"], rows[0]["apart"]) == (30, 50, True)
    (meet,) = compare(card(Figure("auc", 0.63, 0.6, 0.7)), before)
    assert meet["apart"] is False
    (bare,) = compare(card(Figure("auc", 0.63)), before)
    assert bare["apart"] is None


def test_what_a_proof_did_not_pass_or_warned_of_is_a_known_limit() -> None:
    verdicts = [
        Verdict("rebuild", "passed", 0.0, 0.0, "same"),
        Verdict("gap law", "failed", 1.0, 0.0, "one label had not settled"),
        Verdict("shift grid", "passed", 0.0, 0.0, "inside the band", warning="the curve rises at 28 days"),
    ]
    limits = known_limits(verdicts)
    assert limits[0] == "gap law: failed. one label had not settled"
    assert limits[1] == "shift grid warns: the curve rises at 28 days"
    assert not any(words.startswith("rebuild") for words in limits)
