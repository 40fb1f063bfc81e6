"""What every classifier does: the same suite for each, and a faulty classifier for each check, which must find it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from foreproof.core.grid import Grid
from foreproof.core.logistic import logit, sigmoid
from foreproof.core.model import Explains, Frame, Model, Now, Past
from foreproof.core.predict import Prediction
from foreproof.core.score_binary import auc
from foreproof.errors import BadInput, ForeproofError
from foreproof.models.binary_rows import in_probability
from foreproof.models.blend import BlendWeights
from foreproof.models.boost_binary import BoostClassifier, CatClassifier
from foreproof.models.classify import CLASSIFIERS, load_classifier
from foreproof.models.logistic import Logistic
from foreproof.models.registry import parse_listed
from foreproof.models.stack import Blend

FRAME = Frame(("customer", "department"), Grid("integer", unit="step"), 1, 1)
INDEX = ["customer", "department", "cutoff", "step"]
LAST = 9
PAIR = (Logistic(), BoostClassifier(trees=15))
GIVEN = BlendWeights(("logistic", "boost"), "logit", (0.25, 0.75))
CASES: dict[str, Model] = {
    "logistic": Logistic(),
    "logistic of few rows": Logistic(max_rows=500, rare=60, strength=0.1),
    "boost": BoostClassifier(trees=20),
    "boost that may not rise": BoostClassifier(trees=20, monotone=(("recency", -1),), max_rows=600),
    "catboost": CatClassifier(trees=20),
    "blend": Blend(PAIR, judged=2),
    "blend of percentiles by segment": Blend(PAIR, scale="percentile", segment="region", judged=2),
    "blend of given weights": Blend(PAIR, weights=GIVEN),
}


@cache
def everything() -> pl.DataFrame:
    """120 customers, two departments, a row each at ten cutoffs; numbers with holes, a flag, text with a rare level."""
    rng = np.random.default_rng(7)
    n = 120 * 2 * (LAST + 1)
    frame = pl.DataFrame(
        {
            "customer": [f"c{i:03d}" for i in range(120)] * 2 * (LAST + 1),
            "department": (["food"] * 120 + ["garden"] * 120) * (LAST + 1),
            "cutoff": np.repeat(np.arange(LAST + 1), 240),
            "step": np.ones(n, dtype=np.int64),
            "recency": rng.gamma(2.0, 10.0, size=n),
            "visits": rng.poisson(3.0, size=n).astype(float),
            "constant": np.full(n, 3.0),
            "member": rng.uniform(size=n) < 0.5,
            "region": rng.choice(["north", "south", "islands"], p=[0.6, 0.39, 0.01], size=n),
            "word": rng.choice(["a", "b"], size=n),
        },
    )
    risk = -1.5 - 0.05 * frame["recency"] + 0.4 * frame["visits"] + frame["member"].cast(pl.Float64)
    risk += (frame["region"] == "north").cast(pl.Float64) * 0.7
    label = (rng.uniform(size=n) < sigmoid(risk.to_numpy())).astype(float)
    hole = pl.Series(rng.uniform(size=n))
    return frame.with_columns(
        recency=pl.when(hole < 0.1).then(None).when(hole < 0.12).then(math.nan).otherwise("recency"),
        word=pl.when(hole > 0.9).then(None).otherwise("word"),
        label=pl.Series(label),
    )


def past_at(cutoff: int) -> Past:
    learned = everything().filter(pl.col("cutoff") < cutoff)
    return Past(FRAME, cutoff, pl.DataFrame(), lambda: learned)


def now_at(cutoff: int) -> Now:
    current = everything().filter(pl.col("cutoff") == cutoff).drop("label")
    return Now(FRAME, cutoff, pl.DataFrame(), lambda: current)


def giving(rows: pl.DataFrame, past: Past | None = None) -> Any:
    return replace(past or past_at(LAST - 1), make_rows=lambda: rows)


EARLY, SAME, LATE = past_at(LAST - 1), now_at(LAST - 1), now_at(LAST)


def predicted(model: Model, past: Past = EARLY, now: Now = SAME, *, seed: int = 1) -> pl.DataFrame:
    return model.fit(past, seed=seed).predict(now).canonical()


# --- the checks: each says what is wrong, or nothing ------------------------------------------------------------------


def deterministic(model: Model) -> str | None:
    fitted = [model.fit(EARLY, seed=7) for _ in range(3)]
    if any(dict(f.dump()) != dict(fitted[0].dump()) for f in fitted):
        return "learns other bytes from the same past and seed"
    first = fitted[0].predict(SAME).canonical()
    same = all(f.predict(SAME).canonical().equals(first) for f in [*fitted, fitted[0]])
    return None if same else "predicts otherwise from fit to fit"


def leaves_inputs_alone(model: Model) -> str | None:
    past, now = EARLY.make_rows().clone(), SAME.make_rows().clone()
    predicted(model, giving(past), replace(SAME, make_rows=lambda: now))
    return None if past.equals(EARLY.make_rows()) and now.equals(SAME.make_rows()) else "changes its input"


def ignores_row_order(model: Model) -> str | None:
    def shuffled(given: Past | Now) -> Any:
        mixed = given.make_rows().sample(fraction=1.0, shuffle=True, seed=4)
        return replace(given, make_rows=lambda: mixed)

    return (
        None if predicted(model, shuffled(EARLY), shuffled(SAME)).equals(predicted(model)) else "depends on the order"
    )


def pickles(model: Model) -> str | None:
    try:
        copy = pickle.loads(pickle.dumps(model))
        fitted = pickle.loads(pickle.dumps(model.fit(EARLY, seed=1)))
    except Exception as error:
        return f"does not pickle: {error}"
    same = copy == model and predicted(copy).equals(predicted(model))
    return None if same and fitted.predict(SAME).canonical().equals(predicted(model)) else "is another after pickling"


def refuses_labels_that_are_none(model: Model) -> str | None:
    for bad in (math.nan, math.inf, None, 0.5, 2.0, -1.0):
        hole = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit(bad, dtype=pl.Float64)).otherwise("label")
        try:
            model.fit(giving(EARLY.make_rows().with_columns(label=hole)), seed=1)
        except ForeproofError as error:
            if not ("label" in str(error) and error.found and error.wanted):
                return f"refuses {bad} without saying what: {error}"
        except Exception as error:
            return f"breaks on {bad}: {error!r}"
        else:
            return f"takes {bad}"
    return None


def refuses_what_teaches_nothing(model: Model) -> str | None:
    rows = EARLY.make_rows()
    few = rows.filter((pl.col("label") == 0.0) | (pl.int_range(pl.len()) < 20))
    cases = {
        "no positive": rows.with_columns(label=pl.lit(0.0)),
        "no negative": rows.with_columns(label=pl.lit(1.0)),
        "few positives": few,
        "no rows": rows.clear(),
        "one customer": rows.with_columns(
            customer=pl.lit("c000"), department=pl.lit("food"), cutoff=pl.int_range(pl.len())
        ),
    }
    for what, given in cases.items():
        try:
            model.fit(giving(given), seed=1)
        except BadInput as error:
            if not error.fix:
                return f"refuses {what} without a fix: {error}"
        except Exception as error:
            return f"breaks on {what}: {error!r}"
        else:
            return f"learns from {what}"
    return None


def answers_every_row_with_a_probability(model: Model) -> str | None:
    prediction = model.fit(EARLY, seed=1).predict(SAME)
    if not isinstance(prediction, Prediction) or prediction.kind != "probability":
        return "gives no probability"
    wanted = SAME.make_rows().select(INDEX).sort(INDEX)
    if not prediction.canonical().select(INDEX).equals(wanted):
        return f"answers {prediction.rows.height} rows of {wanted.height}"
    return None


def learns(model: Model) -> str | None:
    found = predicted(model, past_at(LAST), LATE)
    truth = everything().filter(pl.col("cutoff") == LAST).sort(INDEX)
    score = auc(truth["label"], found["value"])
    return None if score > 0.65 else f"has an AUC of {score:.2f} where 0.7 can be had"


def goes_on_at_a_later_view(model: Model) -> str | None:
    """New customers, levels that the training rows did not have, holes in every column."""
    fitted = model.fit(EARLY, seed=1)
    before = dict(fitted.dump())
    strange = LATE.make_rows().with_columns(
        customer=pl.col("customer") + "x",
        region=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("moon")).otherwise("region"),
        word=pl.lit(None, dtype=pl.String),
        visits=pl.when(pl.int_range(pl.len()) < 9).then(math.inf).otherwise("visits"),
    )
    try:
        found = fitted.predict(replace(LATE, make_rows=lambda: strange))
    except Exception as error:
        return f"breaks at a later view: {error!r}"
    if dict(fitted.dump()) != before:
        return "learns while it predicts"
    if found.rows["cutoff"].unique().to_list() != [LAST] or found.rows.height != strange.height:
        return "has other rows at a later view"
    return "does not look at the rows" if found.rows["value"].n_unique() < 10 else None


def asks_for_a_column_that_is_gone(model: Model) -> str | None:
    try:
        model.fit(EARLY, seed=1).predict(replace(SAME, make_rows=lambda: SAME.make_rows().drop("visits", "region")))
    except BadInput as error:
        return None if "no column" in str(error) else f"says nothing of the column: {error}"
    except Exception as error:
        return f"breaks: {error!r}"
    return "predicts without a column"


def dumps_text(model: Model) -> str | None:
    """Never a pickle: whoever reads an artefact must not have to trust it."""
    for name, content in model.fit(EARLY, seed=1).dump().items():
        text = content.decode("utf-8", errors="replace")
        if content[:1] == b"\x80" or not text.replace("\n", "").isprintable():
            return f"{name} is no text"
        if not name.startswith(f"{model.name}."):
            return f"{name} does not name its model"
    return None


def loads_what_it_dumped(model: Model) -> str | None:
    fitted = model.fit(EARLY, seed=1)
    try:
        again = load_classifier(model, dict(fitted.dump()))
    except Exception as error:
        return f"does not load: {error!r}"
    same = all(again.predict(now).canonical().equals(fitted.predict(now).canonical()) for now in (SAME, LATE))
    return None if same and dict(again.dump()) == dict(fitted.dump()) else "predicts otherwise after loading"


def explains_what_it_says(model: Model) -> str | None:
    """Contributions add up to the log odds, and their other form to the probability."""
    fitted = model.fit(EARLY, seed=1)
    if not isinstance(fitted, Explains):
        return None
    try:
        parts = fitted.contributions(SAME).sort(INDEX)
    except BadInput as error:
        return None if "contributions" in str(error) else f"breaks: {error}"
    features = ["constant", "member", "recency", "region", "visits", "word"]
    if parts.columns != [*INDEX, *features, "base"]:
        return f"has columns {parts.columns}"
    said = fitted.predict(SAME).canonical()["value"].to_numpy()
    total = parts.select(pl.sum_horizontal(*features, "base")).to_series().to_numpy()
    inside = in_probability(parts, INDEX).select(pl.sum_horizontal(*features, "base")).to_series().to_numpy()
    if not np.allclose(total, logit(said), atol=1e-6) or not np.allclose(inside, said, atol=1e-6):
        return "does not add up"
    return None if parts["constant"].abs().max() == 0.0 else "credits a constant"


CHECKS: list[Callable[[Model], str | None]] = [
    deterministic,
    leaves_inputs_alone,
    ignores_row_order,
    pickles,
    refuses_labels_that_are_none,
    refuses_what_teaches_nothing,
    answers_every_row_with_a_probability,
    learns,
    goes_on_at_a_later_view,
    asks_for_a_column_that_is_gone,
    dumps_text,
    loads_what_it_dumped,
    explains_what_it_says,
]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_classifier_keeps_the_law(check: Callable[[Model], str | None], name: str) -> None:
    assert check(CASES[name]) is None


def test_every_classifier_is_listed() -> None:
    kinds = list(CLASSIFIERS)
    assert {type(model) for model in parse_listed(kinds, CLASSIFIERS, path="models")} == set(map(type, CASES.values()))


# --- each check finds the fault that it is for ------------------------------------------------------------------------

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Wrapped:
    """A logistic regression that one function spoils; it neither pickles (a lambda) nor loads (no classifier of ours)."""

    spoil: Callable[[pl.DataFrame, Now], pl.DataFrame] = lambda rows, now: rows
    train: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows
    fitted: Any = None
    name: str = "wrapped"
    reads_rows: bool = True

    def fit(self, past: Past, *, seed: int) -> Any:
        rows = self.train(past.make_rows())
        return replace(self, fitted=Logistic().fit(replace(past, make_rows=lambda: rows), seed=seed))

    def predict(self, now: Now) -> Prediction:
        rows = self.fitted.predict(now).rows
        return Prediction("probability", now.frame.entity, self.spoil(rows, now))

    def dump(self) -> Mapping[str, bytes]:
        return {"wrapped.bin": pickle.dumps(1)}


@dataclass(frozen=True)
class Unfair(Wrapped):
    """Says of each row what it says, and explains it wrongly."""

    def contributions(self, now: Now) -> pl.DataFrame:
        found: pl.DataFrame = self.fitted.contributions(now)
        return found.with_columns(base=pl.col("base") + 1.0)


def with_value(value: Any) -> Callable[[pl.DataFrame, Now], pl.DataFrame]:
    return lambda rows, now: rows.with_columns(value=value() if callable(value) else value)


def noisy(rows: pl.DataFrame, now: Now) -> pl.DataFrame:
    return rows.with_columns(value=pl.Series(RNG.uniform(size=rows.height)))


def first_row(rows: pl.DataFrame, now: Now) -> pl.DataFrame:
    return rows.with_columns(value=pl.lit(0.1 if now.make_rows()["customer"][0] == "c000" else 0.9))


def spoiling(rows: pl.DataFrame, now: Now) -> pl.DataFrame:
    given = now.make_rows()
    given.replace_column(given.columns.index("visits"), given["visits"] + 1.0)
    return rows


def enough(rows: pl.DataFrame) -> pl.DataFrame:
    """Makes up what is missing: 300 rows of both kinds, from anywhere."""
    made = everything().head(300)
    return pl.concat([rows, made]) if rows.width == made.width else made


def rounded(rows: pl.DataFrame) -> pl.DataFrame:
    label = pl.when(pl.col("label").is_finite()).then(pl.col("label").clip(0.0, 1.0).round()).otherwise(0.0)
    return rows.with_columns(label=label.fill_null(0.0))


def filled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.drop("visits", "region")


FAULTS: list[tuple[Callable[[Model], str | None], Any, str]] = [
    (deterministic, Wrapped(noisy), "predicts otherwise"),
    (leaves_inputs_alone, Wrapped(spoiling), "changes its input"),
    (ignores_row_order, Wrapped(first_row), "depends on the order"),
    (pickles, Wrapped(lambda rows, now: rows), "does not pickle"),
    (refuses_labels_that_are_none, Wrapped(train=rounded), "takes nan"),
    (refuses_what_teaches_nothing, Wrapped(train=enough), "learns from no positive"),
    (answers_every_row_with_a_probability, Wrapped(lambda rows, now: rows.head(9)), "answers 9 rows of 240"),
    (learns, Wrapped(with_value(pl.lit(0.5))), "has an AUC of 0.50"),
    (goes_on_at_a_later_view, Wrapped(with_value(pl.lit(0.5))), "does not look"),
    (asks_for_a_column_that_is_gone, Wrapped(train=filled), "predicts without a column"),
    (dumps_text, Wrapped(), "is no text"),
    (loads_what_it_dumped, Wrapped(), "does not load"),
    (explains_what_it_says, Unfair(), "does not add up"),
]


@pytest.mark.parametrize(("check", "faulty", "found"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_each_check_finds_its_fault(check: Callable[[Model], str | None], faulty: Any, found: str) -> None:
    answer = check(faulty)
    assert answer is not None
    assert found in answer


def test_every_check_has_a_fault() -> None:
    assert {check for check, _, _ in FAULTS} == set(CHECKS)
