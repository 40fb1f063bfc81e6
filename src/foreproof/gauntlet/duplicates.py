"""Nothing counts twice: keys within a batch, batches that repeat each other, rows of the panel."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.contract import BATCH, DELETED
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.core.view import Table
from foreproof.gauntlet import leaks


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Counts repeated keys within a batch, versions that repeat the one before, and repeated panel rows. Exact."""

    name: str = "duplicates"

    @property
    def control(self) -> Leak:
        """The last batch of every table, loaded twice."""
        return leaks.loaded_twice

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the counts by place."""
        found = {f"{name}: {what}": n for name, t in trial.database.tables.items() for what, n in _in_table(t).items()}
        built = trial.run()
        for part, frame, keys in [
            ("entities", built.entities, [*trial.entity, CUTOFF]),
            ("rows", built.rows, [*trial.entity, CUTOFF, STEP]),
            ("labels", built.labels, [*trial.entity, CUTOFF, STEP]),
        ]:
            found[f"{part}: repeated index"] = frame.height - frame.select(keys).n_unique() if frame.height else 0
        count = sum(found.values())
        if count:
            words = "; ".join(f"{where} ({n})" for where, n in found.items() if n)
            return Verdict(self.name, "failed", float(count), 0.0, f"counted twice: {words}", found)
        words = f"no key, batch or panel row counts twice in {len(trial.database.tables)} tables and {built.rows.height} rows"
        return Verdict(self.name, "passed", 0.0, 0.0, words, found)


def _in_table(table: Table) -> dict[str, int]:
    keys = list(table.contract.keys)
    values = [column.name for column in table.contract.columns if column.name not in keys] + [DELETED]
    rows = table.rows
    if not rows.height:
        return {}
    within = rows.height - rows.select([*keys, BATCH]).n_unique()
    # A key that comes once cannot repeat itself; only the few others are ordered.
    repeated = rows.filter(rows.select(keys).is_duplicated()).sort([*keys, "_known", BATCH])
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1).over(keys)) for name in values)
    again = repeated.filter(
        same & (pl.int_range(pl.len()).over(keys) > 0) & (pl.col(BATCH).diff().over(keys) > 0)
    ).height
    return {"repeated keys in a batch": within, "versions that repeat the one before": again}


__all__ = ["Duplicates"]
