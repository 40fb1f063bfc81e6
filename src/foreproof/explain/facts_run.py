"""The facts of a run, out of the tables of its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from foreproof.core.units import per_total
from foreproof.explain.facts import WHOLE, About, Fact, Facts, ledger
from foreproof.explain.facts_common import Subjects, Tables, fact, label, named
from foreproof.explain.facts_forecast import forecast_facts, leading
from foreproof.explain.facts_pairs import first_pairs, pair_facts

TABLES = (
    "base_rates",
    "chances",
    "coverage",
    "forecast",
    "history",
    "list",
    "list_gain",
    "list_prices",
    "list_replay",
    "list_scenarios",
    "orders",
    "pair_scores",
    "replay_stock_totals",
    "replay_totals",
    "scores",
    "scores_by_series",
    "verdicts",
    "voi",
    "weights",
)
"""The tables of a run's folder that facts are made from."""
_LEADING = 5


def run_facts(tables: Tables, about: About, *, subject: str | None = None) -> Facts:
    """The ledger of a run.

    subject: one series or pair (`account / group`), whose facts come with those of the whole run; `WHOLE` for those of the run
    and of the subjects that stand out; None for every subject.
    """
    forecast = about.workload == "forecast"
    subjects: Subjects = None
    if subject == WHOLE:
        subjects = frozenset((leading if forecast else first_pairs)(tables, about, _LEADING))
    elif subject is not None:
        subjects = frozenset((subject,))
    made = forecast_facts if forecast else pair_facts
    return ledger(made(tables, about, subjects=subjects), names_of(tables, about))


def names_of(tables: Tables, about: About) -> frozenset[str]:
    """Every name of the data: of series or pairs, and of their parts."""
    parts = {str(one) for frame in _frames(tables, about) for name in about.entity for one in frame[name].unique()}
    return subjects_of(tables, about) | parts


def subjects_of(tables: Tables, about: About) -> frozenset[str]:
    """The name of every series or pair of the run."""
    if not about.entity:
        return frozenset((named({}, about.entity),))
    return frozenset(one for frame in _frames(tables, about) for one in frame.select(label(about.entity)).to_series())


def _frames(tables: Tables, about: About) -> list[pl.DataFrame]:
    """The entity columns of the tables that name every series or pair."""
    frames = [tables[name] for name in ("forecast", "chances", "list") if name in tables]
    return [f.select(about.entity).unique() for f in frames if all(name in f.columns for name in about.entity)]


def scenario_facts(name: str, series: pl.DataFrame, about: About, *, source: str) -> Iterator[Fact]:
    """Facts of a forecast's scenario: `series` as `engine.scenario.Compared` gives it; source: sha256 of its file.

    They are to be numbered by `ledger`, behind those of the run.
    """
    unit = per_total(about.unit)
    against = f"the plan without the scenario {name}"
    own = replace(about, digests={"scenario": source})
    for row in series.drop_nulls("difference").iter_rows(named=True):
        subject = named(row, about.entity)
        what = "expected value under the scenario, over the horizon"
        change = row["difference"]
        yield fact(own, "scenario", "scenario", what, change, subject=subject, unit=unit, against=against)


__all__ = ["TABLES", "names_of", "run_facts", "scenario_facts", "subjects_of"]
