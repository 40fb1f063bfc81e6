"""What the pipeline reads is what the append-only log holds: row for row, clock for clock, column for column.

A pipeline may read tables that somebody has made anew since: history restated, names merged, late rows dated as if they had been
there, a column filled in. Cutting such tables shows nothing, because every row of them is dated like the facts. The log saw the
rows come, so the two are held against each other. Exact: there is no tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from foreproof.core.clock import INSTANT, literal, ticks
from foreproof.core.contract import BATCH, KNOWN
from foreproof.core.trial import Leak, Trial, Verdict, Witness
from foreproof.gauntlet import leaks
from foreproof.gauntlet.unlike import Unlike, unlike


@dataclass(frozen=True, slots=True)
class AsLogged:
    """Every table that the pipeline reads holds the log's rows, all versions, with their clocks, and nothing else.

    Not applicable where nobody kept a log (`Trial.witness`); a proof always has one. The evidence says of each table which share
    of its rows was loaded after the moment at which they say they were known: that is taken on the source's word.
    """

    name: str = "as logged"

    @property
    def control(self) -> Leak:
        """One past row of every table restated."""
        return leaks.restated

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the first row that differs, both values, and how many rows differ by table."""
        if trial.witness is None:
            return Verdict(self.name, "not applicable", None, None, "nobody kept a log of these tables as first loaded")
        word = on_their_word(trial.witness)
        logged = trial.witness.database.tables
        apart: dict[str, Unlike] = {}
        for name, table in trial.database.tables.items():
            if name not in logged:
                apart[name] = Unlike(f"{name}: the log holds no such table", table.rows.height, table.rows)
            elif found := unlike(table, logged[name]):
                apart[name] = found
        if apart:
            return self._failed(trial, apart, word)
        rows = sum(table.rows.height for table in trial.database.tables.values())
        words = (
            f"{rows} rows of {len(trial.database.tables)} tables are those of the log, with their clocks{_said(word)}"
        )
        return Verdict(self.name, "passed", 0.0, 0.0, words, {"rows": rows, "on_the_sources_word": word})

    def _failed(self, trial: Trial, apart: Mapping[str, Unlike], word: Mapping[str, float | None]) -> Verdict:
        first = next(iter(apart.values()))
        last = max(trial.cutoffs, key=ticks)
        past = sum(_known_by(one.rows, last) for one in apart.values())
        count = sum(one.count for one in apart.values())
        others = f", in {', '.join(apart)}" if len(apart) > 1 else ""
        words = f"{first.words}; {count} rows differ{others}, {past} of them known by {last}"
        evidence: dict[str, Any] = {
            "tables": {name: {"rows": one.count, "words": one.words} for name, one in apart.items()},
            "rows": count,
            "known": past,
            "on_the_sources_word": word,
            **{key: value for key, value in first.evidence.items() if value},
        }
        return Verdict(self.name, "failed", float(count), 0.0, words, evidence)


def on_their_word(witness: Witness) -> dict[str, float | None]:
    """By table, the share of rows that were loaded after they were known by their own account; None where no load was noted.

    Nobody was there to see when these were known: that they were is the source's word, and the contract's.
    """
    found: dict[str, float | None] = {}
    for name, table in witness.database.tables.items():
        loads = witness.loaded.get(name, {})
        if not loads or table.rows.schema[KNOWN] != INSTANT or table.rows.is_empty():
            found[name] = None
            continue
        at = pl.DataFrame({BATCH: list(loads), "_at": list(loads.values())}, schema={BATCH: pl.Int64, "_at": pl.Int64})
        rows = table.rows.select(BATCH, pl.col(KNOWN).to_physical()).join(at, on=BATCH, how="left")
        later = rows.select((pl.col(KNOWN) < pl.col("_at")).fill_null(True).mean()).item()
        found[name] = float(later)
    return found


def _said(word: Mapping[str, float | None]) -> str:
    shares = {name: share for name, share in word.items() if share}
    if not shares:
        return ""
    told = ", ".join(f"{share:.1%} of {name}" for name, share in shares.items())
    return f"; when they were known is taken on the source's word for rows that were loaded later ({told})"


def _known_by(rows: pl.DataFrame, cutoff: Any) -> int:
    if (rows.schema[KNOWN] == INSTANT) == isinstance(cutoff, int):
        return 0
    return rows.filter(pl.col(KNOWN) <= literal(cutoff)).height


__all__ = ["AsLogged", "on_their_word"]
