"""What is known of accounts and pairs at a cutoff beside their chances: dimensions, past calls, size, features, candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.predict import CUTOFF
from foreproof.core.view import Database
from foreproof.decisions.listed import size_segments
from foreproof.decisions.shortlist import FOUND_BY, REP, SEGMENT, WORTH, ListTerms, P, chosen_rows
from foreproof.decisions.terms import CHANCE
from foreproof.engine.line import at
from foreproof.errors import BadInput
from foreproof.workloads.propensity import SEGMENT as KIND
from foreproof.workloads.propensity import (
    UNKNOWN,
    WHITESPACE,
    Pairs,
    PropensityPlan,
    contacted_at,
    dimensions_at,
)

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Known:
    """At one cutoff.

    accounts: account, `spent`, `idle` (steps since its last purchase), `segment` (by the plan's table, else small, medium,
    large by thirds of `spent`), and `rep`, `region` where the plan names them. contacted: account (and group), `contacted` in
    days; None without a table of calls. features: the rows that the models read.
    """

    accounts: pl.DataFrame
    contacted: pl.DataFrame | None
    features: pl.DataFrame

    def of(self, pairs: pl.DataFrame, account: str) -> pl.DataFrame:
        """The pairs with their account's columns and `contacted`."""
        found = pairs.join(self.accounts.drop("spent", "idle"), on=account, how="left", maintain_order="left")
        if self.contacted is None:
            return found
        on = [name for name in self.contacted.columns if name in pairs.columns]
        return found.join(self.contacted, on=on, how="left", maintain_order="left")


def known_at(plan: PropensityPlan, database: Database, panel: Pairs, cutoff: Moment, rows: pl.DataFrame) -> Known:
    """See `Known`. rows: features of pairs at any cutoffs. Raises BadInput for an account in two segments at once."""
    task = plan.task
    accounts = panel.spent(cutoff)
    named = dimensions_at(database, plan.dimensions, cutoff, account=task.account)
    for name, frame in named.items():
        accounts = accounts.join(frame, on=task.account, how="left", maintain_order="left")
        accounts = accounts if name == REP else accounts.with_columns(pl.col(name).fill_null(UNKNOWN))
    if SEGMENT not in named:
        sizes = size_segments(accounts, task.account, "spent")
        accounts = accounts.join(sizes, on=task.account, how="left", maintain_order="left")
    contacted = None if plan.contacts is None else contacted_at(database, plan.contacts, cutoff, entity=task.entity)
    return Known(accounts, contacted, rows.filter(at(cutoff)))


def check_list(plan: PropensityPlan, database: Database, panel: Pairs, cutoff: Moment) -> None:
    """Raise BadInput where no list can be made at the cutoff, whatever the chances: before hours are spent on fitting them.

    An account in two segments, a cap of an unknown group, no pair left, floors and caps that cannot be met together.
    """
    terms = plan.shortlist
    if terms is None:
        return
    known = known_at(plan, database, panel, cutoff, pl.DataFrame({CUTOFF: []}, schema={CUTOFF: pl.Int64}))
    pairs = panel.segments(cutoff)
    white = pairs.filter(pl.col(KIND) == WHITESPACE).drop(KIND).sort(plan.task.entity)
    if not white.height:
        raise BadInput(
            "list", found="no whitespace pair", wanted="a pair that has not bought", fix="shorten pairs.owned"
        )
    some = pl.Series(P, (np.arange(white.height) * _GOLDEN) % 1.0)
    beliefs = known.of(white, plan.task.account).with_columns(some, pl.lit(1.0).alias(WORTH))
    chosen_rows(beliefs, replace(terms, fair=None, candidates=0), entity=plan.task.entity)


def found_by(pairs: pl.DataFrame, features: pl.DataFrame, terms: ListTerms, *, entity: tuple[str, str]) -> pl.Series:
    """`found_by`: the sources that have a pair among the `terms.candidates` best of its account, by comma; else empty.

    A source is the chance, or each column of features whose name begins with its word, the largest first; a source without a
    column finds nothing, and where no source has one all pairs are candidates by their chance.
    """
    columns = {CHANCE: P} if CHANCE in terms.sources else {}
    names = [name for name in features.columns if name not in (*entity, CUTOFF)]
    columns |= {name: name for word in terms.sources for name in names if word != CHANCE and name.startswith(word)}
    if not columns:
        return pl.Series(FOUND_BY, [CHANCE] * pairs.height, dtype=pl.String)
    wide = pairs.select(*entity, P).join(
        features.select(*entity, *(name for name in columns.values() if name != P)),
        on=list(entity), how="left", maintain_order="left",
    )  # fmt: skip
    told = [
        pl.when(_among(column, terms.candidates, entity[0])).then(pl.lit(_word(name, terms.sources)))
        for name, column in columns.items()
    ]
    lists = wide.select(pl.concat_list(told).list.drop_nulls().list.unique(maintain_order=True).list.join(", "))
    return lists.to_series().alias(FOUND_BY)


def _among(column: str, most: int, account: str) -> pl.Expr:
    return (pl.col(column).rank("ordinal", descending=True).over(account) <= most) & pl.col(column).is_not_null()


def _word(name: str, sources: Sequence[str]) -> str:
    return next((word for word in sources if name.startswith(word)), name)


__all__ = ["Known", "check_list", "found_by", "known_at"]
