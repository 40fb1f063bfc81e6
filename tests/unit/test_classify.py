"""Classifiers one by one; what all of them do stands in tests/conform/test_classifiers.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from foreproof.core.grid import Grid, parse_grid
from foreproof.core.logistic import sigmoid
from foreproof.core.model import Fitted, Frame, Now, Past
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.errors import BadInput, MissingExtra, PlanError
from foreproof.models.blend import BlendWeights
from foreproof.models.boost_binary import BoostClassifier, CatClassifier
from foreproof.models.classify import load_classifier, parse_classifiers
from foreproof.models.logistic import FittedLogistic, Logistic
from foreproof.models.naive import Naive
from foreproof.models.plugged import Plugged
from foreproof.models.stack import Blend, FittedBlend, stacked

FRAME = Frame(("customer",), Grid("integer", unit="step"), 1, 1)


def rows(n: int = 1500, cutoffs: int = 5, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "customer": [f"c{i}" for i in range(n // cutoffs)] * cutoffs,
            "cutoff": np.repeat(np.arange(cutoffs), n // cutoffs),
            "step": np.ones(n, dtype=np.int64),
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "word": rng.choice(["a", "b", "c"], size=n),
        }
    )
    risk = -1.0 + 1.2 * frame["x"] + (frame["word"] == "a").cast(pl.Float64)
    return frame.with_columns(label=pl.Series((rng.uniform(size=n) < sigmoid(risk.to_numpy())).astype(float)))


def past(frame: pl.DataFrame, at: int = 9, *, shape: Frame = FRAME) -> Past:
    return Past(shape, at, pl.DataFrame(), lambda: frame)


def now(frame: pl.DataFrame, at: int = 9) -> Now:
    """A row for each customer, the first that it has."""
    asked = frame.unique("customer", keep="first", maintain_order=True).drop("label")
    return Now(FRAME, at, pl.DataFrame(), lambda: asked.with_columns(cutoff=pl.lit(at, dtype=pl.Int64)))


def values(model: Any, learned: pl.DataFrame, asked: pl.DataFrame) -> list[float]:
    found: list[float] = model.fit(past(learned), seed=1).predict(now(asked)).canonical()["value"].to_list()
    return found


# --- logistic ---------------------------------------------------------------------------------------------------------


def test_logistic_is_the_regression_on_standardised_columns() -> None:
    table = rows().select("customer", "cutoff", "step", "x", "z", "label").sort("customer", "cutoff")
    fitted = Logistic().fit(past(table), seed=1)
    assert isinstance(fitted, FittedLogistic)
    matrix = table.select("x", "z").to_numpy()
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    peer = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(scaled, table["label"].to_numpy())
    assert fitted.coefficients == pytest.approx(peer.coef_[0].tolist(), abs=1e-4)
    one = table.head(3)
    expected = peer.predict_proba((one.select("x", "z").to_numpy() - matrix.mean(axis=0)) / matrix.std(axis=0))[:, 1]
    asked = one.with_columns(customer=pl.Series(["a", "b", "c"]))
    assert fitted.predict(now(asked)).canonical()["value"].to_list() == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_missing_number_counts_as_the_mean_and_has_a_flag() -> None:
    table = rows()
    hole = pl.int_range(pl.len()) % 4 == 0
    gone = table.with_columns(z=pl.when(hole).then(None).otherwise("z"))
    # Rows without z are positive far more often: the flag has to say so.
    gone = gone.with_columns(label=pl.when(hole & (pl.int_range(pl.len()) % 3 > 0)).then(1.0).otherwise("label"))
    fitted = Logistic().fit(past(gone), seed=1)
    asked = table.head(2).with_columns(x=pl.lit(0.0), word=pl.lit("b"), z=pl.Series([None, fitted.numbers[1].mean]))
    parts = fitted.contributions(now(asked)).sort("customer")
    assert parts["z"][0] > 0.5 > parts["z"][1]
    assert fitted.numbers[1].missing == pytest.approx(0.25)


def test_rare_levels_share_a_flag_with_those_never_seen() -> None:
    table = rows().with_columns(
        word=pl.when(pl.int_range(pl.len()) < 10).then(pl.lit("rare")).otherwise("word"),
    )
    fitted = Logistic(rare=20).fit(past(table), seed=1)
    assert fitted.texts[0].levels == ("a", "b", "c", None, "")
    asked = table.head(2).with_columns(word=pl.Series(["rare", "never seen"]), x=pl.lit(0.0), z=pl.lit(0.0))
    first, second = fitted.predict(now(asked)).rows["value"].to_list()
    assert first == second


def test_a_long_tail_is_read_as_a_logarithm_and_a_new_extreme_is_bounded() -> None:
    rng = np.random.default_rng(4)
    table = rows().with_columns(money=pl.Series(rng.lognormal(sigma=1.5, size=1500)))
    fitted = Logistic().fit(past(table), seed=1)
    logs = {column.name: column.logs for column in fitted.numbers}
    assert logs == {"money": True, "x": False, "z": False}
    asked = table.head(3).with_columns(
        money=pl.Series([1e9, 1e12, -5.0]), x=pl.lit(0.0), z=pl.lit(0.0), word=pl.lit("a")
    )
    found = fitted.predict(now(asked)).canonical()["value"].to_list()
    assert found[0] == found[1]
    assert np.isfinite(found).all()


def test_columns_that_say_nothing_take_part_in_nothing() -> None:
    table = rows().with_columns(
        constant=pl.lit(7.0), empty=pl.lit(None, dtype=pl.Float64), no_text=pl.lit(None, dtype=pl.String)
    )
    plain, more = values(Logistic(), rows(), rows()), values(Logistic(), table, table)
    assert more == pytest.approx(plain, abs=1e-4)
    assert len(values(BoostClassifier(trees=3), table, table)) == 300


def test_a_logistic_of_some_columns_is_that_of_a_table_without_the_others() -> None:
    table = rows()
    some = Logistic(columns=("x", "word"))
    assert values(some, table, table) == values(Logistic(), table.drop("z"), table.drop("z"))
    assert values(some, table, table) != values(Logistic(columns=("z",)), table, table)
    with pytest.raises(BadInput, match="no column y"):
        Logistic(columns=("y",)).fit(past(table), seed=1)
    assert parsed([{"logistic": {"columns": ["x"]}}])[0].columns == ("x",)


@pytest.mark.parametrize("model", [Logistic(), BoostClassifier(trees=2)])
def test_columns_of_another_type_and_rows_without_features_are_refused(model: Any) -> None:
    with pytest.raises(BadInput, match=r"rows: day: type Date"):
        model.fit(past(rows().with_columns(day=pl.date(2024, 1, 1))), seed=1)
    with pytest.raises(BadInput, match="no feature column"):
        model.fit(past(rows().select("customer", "cutoff", "step", "label")), seed=1)


# --- boosting ---------------------------------------------------------------------------------------------------------


def test_a_monotone_feature_moves_the_probability_one_way_only() -> None:
    table = rows()
    grid = pl.concat(
        [table.head(1).with_columns(customer=pl.lit(f"c{k:02d}"), x=pl.lit(k / 10 - 3.0)) for k in range(60)]
    )
    for direction in (1, -1):
        model = BoostClassifier(trees=40, monotone=(("x", direction),))
        steps = np.diff(values(model, table, grid))
        assert np.all(direction * steps >= 0.0)
    assert np.any(np.diff(values(BoostClassifier(trees=40, monotone=(("x", 1),)), table, grid)) > 0.0)


@pytest.mark.parametrize("wrong", [("word", 1), ("nothing", -1), ("x", 2)])
def test_a_monotone_text_column_an_unknown_one_and_a_wrong_direction_are_refused(wrong: tuple[str, int]) -> None:
    with pytest.raises(BadInput, match=f"monotone: {wrong[0]}: {wrong[1]}"):
        BoostClassifier(monotone=(wrong,)).fit(past(rows()), seed=1)


# --- catboost: a library of its own, in the development lock -----------------------------------------------------------


def test_catboost_learns_dumps_loads_and_explains() -> None:
    table = rows().with_columns(word=pl.when(pl.col("word") == "b").then(None).otherwise("word"))
    one, two = (CatClassifier().fit(past(table), seed=1) for _ in range(2))
    assert dict(one.dump()) == dict(two.dump())
    assert set(one.dump()) == {"catboost.json", "catboost.model.json"}
    again = load_classifier(CatClassifier(), one.dump())
    assert again.predict(now(table)).canonical().equals(one.predict(now(table)).canonical())
    said = one.predict(now(table.head(9))).canonical()["value"]
    parts = one.contributions(now(table.head(9))).sort("customer")
    odds = parts.select(pl.sum_horizontal(pl.col(pl.Float64))).to_series()
    assert sigmoid(odds.to_numpy()) == pytest.approx(said.to_numpy())


def test_without_catboost_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)  # type: ignore[arg-type]
    with pytest.raises(MissingExtra, match=r"pip install 'foreproof\[catboost\]'"):
        CatClassifier().fit(past(rows()), seed=1)


# --- the blend as a model ---------------------------------------------------------------------------------------------

PAIR = (Logistic(), BoostClassifier(trees=10))


def test_a_blend_stacks_on_settled_cutoffs_only() -> None:
    calls: list[tuple[int, list[int]]] = []

    class Spy(Logistic):
        def fit(self, past: Past, *, seed: int) -> Any:
            calls.append((int(past.cutoff), past.make_rows()["cutoff"].unique().sort().to_list()))  # type: ignore[arg-type]
            return super().fit(past, seed=seed)

    shape = Frame(("customer",), parse_grid("integer"), 2, 1, 0)
    found = stacked((Spy(),), past(rows(cutoffs=5), shape=shape), judged=2, seed=1)
    assert calls == [(3, [0, 1]), (4, [0, 1, 2])]
    assert found["cutoff"].unique().sort().to_list() == [3, 4]
    assert found.columns == ["customer", "cutoff", "step", "logistic", "y"]
    assert set(found["y"].unique()) == {0.0, 1.0}


def test_a_blend_without_a_cutoff_to_judge_on_has_equal_weights() -> None:
    fitted = Blend(PAIR, judged=3).fit(past(rows(cutoffs=1)), seed=1)
    assert isinstance(fitted, FittedBlend)
    assert fitted.weights.weights == (0.5, 0.5)
    assert Blend(PAIR, judged=0).fit(past(rows()), seed=1).weights.weights == (0.5, 0.5)


def test_a_blend_of_given_weights_is_the_weighted_mean_of_logits() -> None:
    table = rows()
    weights = BlendWeights(("logistic", "boost"), "logit", (0.25, 0.75))
    a, b = (np.array(values(member, table, table.head(200))) for member in PAIR)
    expected = sigmoid(0.25 * np.log(a / (1 - a)) + 0.75 * np.log(b / (1 - b)))
    assert values(Blend(PAIR, weights=weights), table, table.head(200)) == pytest.approx(expected.tolist(), abs=1e-9)


def test_what_a_blend_cannot_do_is_refused() -> None:
    table = rows()
    with pytest.raises(BadInput, match="each with its own name"):
        Blend((Logistic(), Logistic())).fit(past(table), seed=1)
    with pytest.raises(BadInput, match="weights of"):
        Blend((Logistic(),), weights=BlendWeights(("boost",), "logit", (1.0,))).fit(past(table), seed=1)
    with pytest.raises(BadInput, match="no column region"):
        Blend(PAIR, segment="region").fit(past(table), seed=1)
    with pytest.raises(BadInput, match="scale logit and no segment"):
        Blend(PAIR, scale="percentile").fit(past(table), seed=1).contributions(now(table))
    with pytest.raises(BadInput, match="no classifier"):
        load_classifier(Naive(), {})
    silent = replace(Blend(PAIR).fit(past(table), seed=1), members=(object(), object()))
    with pytest.raises(BadInput, match="model logistic: no contributions"):
        silent.contributions(now(table))


# --- plans ------------------------------------------------------------------------------------------------------------


def parsed(listed: Any) -> Any:
    return parse_classifiers(Section({"models": listed}, path="propensity"))


def test_a_plan_lists_classifiers_by_name_with_their_settings() -> None:
    found = parsed(
        [
            {"logistic": {"strength": 0.5, "rare": 5}},
            {"boost": {"trees": 50, "monotone": {"recency": -1, "visits": 1}, "name": "trees"}},
            {
                "blend": {
                    "members": ["logistic", {"catboost": {"depth": 4}}],
                    "scale": "percentile",
                    "segment": "department",
                }
            },
        ]
    )
    assert found == (
        Logistic(strength=0.5, rare=5),
        BoostClassifier(name="trees", trees=50, monotone=(("recency", -1), ("visits", 1))),
        Blend((Logistic(), CatClassifier(depth=4)), scale="percentile", segment="department"),
    )
    assert parse_classifiers(Section({}, path="")) == (Logistic(), BoostClassifier())


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (["logistik"], r"propensity.models\[0\]: 'logistik', no model; did you mean 'logistic'"),
        ([], "wanted a list of models"),
        (["boost", "boost"], "a second model 'boost'"),
        ([{"boost": {"monotone": {"x": 0}}}], "monotone.x: 0; wanted 1 or -1"),
        ([{"boost": {"tree": 5}}], "did you mean 'trees'"),
        ([{"blend": {"members": ["theta"]}}], "'theta', no model"),
        ([{"blend": {"scale": "rank"}}], "one of logit, percentile"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_path(listed: Any, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        parsed(listed)


def test_a_model_of_the_forecast_is_no_classifier_and_the_other_way_round() -> None:
    check: Callable[[Any], Any] = parsed
    with pytest.raises(PlanError, match="known: logistic, boost, catboost, blend"):
        check(["seasonal_naive"])


def test_a_plugins_classifier_stands_beside_ours_and_is_read_back_by_its_own_load() -> None:
    @dataclass(frozen=True)
    class Mine(Logistic):
        def load(self, files: Mapping[str, bytes]) -> Fitted:
            return load_classifier(Logistic(), files)

    own = {"mine": Plugin("models", "mine", "acme 1.0", "acme:Mine", lambda section: Mine(name="mine"))}
    section = Section({"models": ["logistic", "mine"]}, path="")
    first, second = parse_classifiers(section, own=own)
    assert (first.name, second.name, second.reads_rows) == ("logistic", "mine", True)
    assert "acme 1.0" in repr(second)
    learned = rows(n=200)
    fitted = second.fit(past(learned), seed=1)
    again = load_classifier(second, {"logistic.json": fitted.dump()["mine.json"]})
    assert again.predict(now(learned)).canonical().equals(fitted.predict(now(learned)).canonical())
    with pytest.raises(BadInput, match=r"acme 1\.0.*no state"):
        load_classifier(Plugged(Logistic(), "acme 1.0"), fitted.dump())
