"""What every policy does: the same suite for each, and a faulty policy for each check, which must find it."""

from __future__ import annotations

import importlib
import inspect
import math
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import foreproof.decisions
from foreproof.core.decide import Decisions, Policy
from foreproof.decisions.newsvendor import Newsvendor
from foreproof.decisions.plugged import Plugged
from foreproof.errors import ForeproofError

CUTOFFS = [datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)]
LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


@dataclass(frozen=True, slots=True)
class Case:
    """A policy with what it decides on. Every policy of `foreproof.decisions` stands in CASES."""

    policy: Policy
    held: pl.DataFrame | None


def quantiles() -> pl.DataFrame:
    values = np.cumsum(np.random.default_rng(5).gamma(2.0, 10.0, size=(5, 2, len(LEVELS))), axis=2)
    rows = [
        (f"s{i}", cutoff, level, float(values[i, j, k]))
        for i in range(5)
        for j, cutoff in enumerate(CUTOFFS)
        for k, level in enumerate(LEVELS)
    ]
    schema = {"sku": pl.String, "cutoff": pl.Datetime("us", "UTC"), "level": pl.Float64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


STOCK = pl.DataFrame(
    {
        "sku": [f"s{i}" for i in range(5)],
        "on_hand": [0.0, 3.0, 50.0, -4.0, 500.0],
        "on_order": [0.0, 5.0, 0.0, 0.0, 1.0],
        "margin": [1.0, 2.0, 4.0, 9.0, 3.0],
    }
)

CASES: dict[str, Case] = {
    "newsvendor": Case(Newsvendor(3.0, 1.0, 6.0, 12.0), STOCK),
    "newsvendor with costs by entity": Case(Newsvendor("margin", 1.0), STOCK),
    "newsvendor without stock": Case(Newsvendor(1.0, 2.0), None),
    "a plugin's": Case(Plugged(Newsvendor(3.0, 1.0), "plugin 'x' of acme 1.0"), STOCK),
}


def decided(case: Case, *, beliefs: pl.DataFrame | None = None, held: pl.DataFrame | None = None) -> pl.DataFrame:
    """The rows as they come: a policy that returns them in the order of its input is found too."""
    decisions = case.policy.decide(
        quantiles() if beliefs is None else beliefs, held=case.held if held is None else held
    )
    assert isinstance(decisions, Decisions)
    return decisions.rows


# --- the checks: each says what is wrong, or nothing ------------------------------------------------------------------


def deterministic(case: Case) -> str | None:
    first = decided(case)
    return None if all(decided(case).equals(first) for _ in range(3)) else "differs from call to call"


def leaves_inputs_alone(case: Case) -> str | None:
    beliefs, held = quantiles(), None if case.held is None else case.held.clone()
    case.policy.decide(beliefs, held=held)
    changed = not beliefs.equals(quantiles()) or (held is not None and not held.equals(case.held))
    return "changes its input" if changed else None


def ignores_row_order(case: Case) -> str | None:
    shuffled = quantiles().sample(fraction=1.0, shuffle=True, seed=1)
    held = None if case.held is None else case.held.reverse()
    return None if decided(case, beliefs=shuffled, held=held).equals(decided(case)) else "depends on the order of rows"


def pickles(case: Case) -> str | None:
    try:
        copy = Case(pickle.loads(pickle.dumps(case.policy)), case.held)
    except Exception as error:
        return f"does not pickle: {error}"
    same = copy.policy == case.policy and decided(copy).equals(decided(case))
    return None if same else "decides otherwise after pickling"


def refuses_missing(case: Case) -> str | None:
    for bad in (math.nan, math.inf, None):
        hole = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit(bad, dtype=pl.Float64)).otherwise("value")
        try:
            decided(case, beliefs=quantiles().with_columns(value=hole))
        except ForeproofError as error:
            if not (error.found and "value" in str(error) and (error.wanted or error.fix)):
                return f"refuses {bad} without saying what and how to mend it: {error}"
        except Exception as error:
            return f"breaks on {bad}: {error!r}"
        else:
            return f"decides on {bad}"
    return None


def never_needs_truth(case: Case) -> str | None:
    """Law 7: nothing that happened after the cutoff goes in, neither as an argument nor as a column."""
    names = list(inspect.signature(case.policy.decide).parameters)
    if names != ["beliefs", "held"]:
        return f"takes {names}"
    try:
        decided(case, beliefs=quantiles().with_columns(demand=pl.col("value") + 1.0))
    except ForeproofError:
        return None
    return "takes a column of what was demanded"


CHECKS: list[Callable[[Case], str | None]] = [
    deterministic,
    leaves_inputs_alone,
    ignores_row_order,
    pickles,
    refuses_missing,
    never_needs_truth,
]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_policy_keeps_the_law(check: Callable[[Case], str | None], name: str) -> None:
    assert check(CASES[name]) is None


def test_every_policy_is_listed() -> None:
    modules = [
        importlib.import_module(f"foreproof.decisions.{module.name}")
        for module in pkgutil.iter_modules(foreproof.decisions.__path__)
    ]
    policies = {
        thing
        for module in modules
        for _, thing in inspect.getmembers(module, inspect.isclass)
        if hasattr(thing, "decide") and thing.__module__.startswith("foreproof.decisions")
    }
    assert {type(case.policy) for case in CASES.values()} == policies


# --- each check finds the fault that it is for ------------------------------------------------------------------------


def medians(beliefs: pl.DataFrame) -> pl.DataFrame:
    rows = beliefs.filter(pl.col("level") == 0.5).sort("sku", "cutoff")
    return rows.select("sku", "cutoff", order=pl.col("value"), because=pl.lit("the median"))


def as_decisions(rows: pl.DataFrame) -> Decisions:
    return Decisions(("sku",), ("order",), rows)


class Faulty:
    """A policy made of one function; two are equal where the function is."""

    def __init__(self, rule: Callable[..., pl.DataFrame]) -> None:
        self.rule = rule

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Faulty) and self.rule is other.rule

    __hash__ = None  # type: ignore[assignment]

    def decide(self, beliefs: pl.DataFrame, *, held: pl.DataFrame | None = None) -> Decisions:
        return as_decisions(self.rule(beliefs))


class Judge(Faulty):
    """Asks for what happened."""

    def decide(self, beliefs: pl.DataFrame, *, held: Any = None, demand: Any = None) -> Decisions:
        return as_decisions(self.rule(beliefs))


RNG = np.random.default_rng(0)


def random_rule(beliefs: pl.DataFrame) -> pl.DataFrame:
    return medians(beliefs).with_columns(order=pl.Series(RNG.normal(size=beliefs.height // len(LEVELS))))


def mutating_rule(beliefs: pl.DataFrame) -> pl.DataFrame:
    rows = medians(beliefs)
    beliefs[0, "value"] = -1.0
    return rows


def unsorted_rule(beliefs: pl.DataFrame) -> pl.DataFrame:
    rows = beliefs.filter(pl.col("level") == 0.5)
    return rows.select("sku", "cutoff", order=pl.col("value"), because=pl.lit("as it came"))


def careless_rule(beliefs: pl.DataFrame) -> pl.DataFrame:
    return medians(beliefs.with_columns(pl.col("value").fill_nan(0.0)))


def breaking_rule(beliefs: pl.DataFrame) -> pl.DataFrame:
    if not beliefs["value"].is_finite().all():
        raise ValueError("NaN")
    return medians(beliefs)


def peeking_rule(beliefs: pl.DataFrame) -> pl.DataFrame:
    rows = beliefs.filter(pl.col("level") == 0.5).sort("sku", "cutoff")
    best = "demand" if "demand" in rows.columns else "value"
    return rows.select("sku", "cutoff", order=pl.col(best), because=pl.lit("it was so"))


@pytest.mark.parametrize(
    ("check", "policy", "words"),
    [
        (deterministic, Faulty(random_rule), "differs"),
        (leaves_inputs_alone, Faulty(mutating_rule), "changes"),
        (ignores_row_order, Faulty(unsorted_rule), "order of rows"),
        (pickles, Faulty(lambda beliefs: medians(beliefs)), "does not pickle"),
        (refuses_missing, Faulty(careless_rule), "decides on nan"),
        (refuses_missing, Faulty(breaking_rule), "breaks on nan"),
        (refuses_missing, Faulty(medians), "refuses nan without saying"),
        (never_needs_truth, Judge(careless_rule), "takes"),
        (never_needs_truth, Faulty(peeking_rule), "takes a column"),
    ],
)
def test_a_faulty_policy_is_found(check: Callable[[Case], str | None], policy: Policy, words: str) -> None:
    found = check(Case(policy, STOCK))
    assert found is not None
    assert words in found
