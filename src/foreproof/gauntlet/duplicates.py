"""Nothing counts twice: keys within a batch, versions and batches that repeat each other, rows of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, OCCURRENCE
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Trial, Verdict
from foreproof.core.view import Table
from foreproof.gauntlet import leaks
from foreproof.gauntlet.same import POPULATION

_ALIKE = 10
"""Rows from which two batches or two series that are equal in all of them are no coincidence."""
_SHOWN = 5
_HASH = "_hash"
_SIGN = (
    pl.len(),
    (pl.col(_HASH) // 2**20).sum().alias("_sum"),
    (pl.col(_HASH) % 2**20).sum().alias("_rest"),
)
"""What tells a set of rows from another one whatever their order: how many, and two sums of their hashes."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Counts repeated keys within a batch, versions that repeat the one before, whole batches loaded again under other keys, and
    repeated panel rows; against a baseline of 0. Exact. The same series under several names is a warning: it may be true.
    """

    name: str = "duplicates"

    @property
    def control(self) -> Leak:
        """The last batch of every table, loaded twice."""
        return leaks.loaded_twice

    def __call__(self, trial: Trial) -> Verdict:
        """Failed with the counts by place, and the first row of each."""
        found: dict[str, int] = {}
        firsts: dict[str, Mapping[str, str]] = {}
        for name, table in trial.database.tables.items():
            for what, rows in _in_table(table).items():
                found[f"{name}: {what}"] = rows.height
                if rows.height:
                    firsts[f"{name}: {what}"] = _told(rows)
        built = trial.run()
        for part, frame, keys in [
            (POPULATION, built.entities, [*trial.entity, CUTOFF]),
            ("rows", built.rows, [*trial.entity, CUTOFF, STEP]),
            ("labels", built.labels, [*trial.entity, CUTOFF, STEP]),
        ]:
            twice = frame.height - frame.select(keys).n_unique() if frame.height else 0
            found[f"{part}: repeated index"] = twice
            if twice:
                first = frame.select(keys).filter(frame.select(keys).is_duplicated()).sort(keys)
                firsts[f"{part}: repeated index"] = _told(first)
        names = {name: alike for name, t in trial.database.tables.items() if (alike := same_series(t, trial.entity))}
        count = sum(found.values())
        evidence = {**found, "first": firsts, "same_series": names}
        if count:
            words = "; ".join(f"{where} ({n}; the first {firsts[where]})" for where, n in found.items() if n)
            return Verdict(self.name, "failed", float(count), 0.0, f"counted twice: {words}", evidence)
        words = f"no key, batch or panel row counts twice in {len(trial.database.tables)} tables and {built.rows.height} rows"
        said = [f"{name}: {' = '.join(group)}" for name, groups in names.items() for group in groups[:_SHOWN]]
        warning = f"the same rows stand under several names ({'; '.join(said)})" if said else ""
        return Verdict(self.name, "passed", 0.0, 0.0, words, evidence, warning=warning)


def same_series(table: Table, entity: tuple[str, ...]) -> list[list[str]]:
    """Groups of names of one entity column under which a table holds the very same rows: at least 10, not all of one value."""
    columns = [name for name in entity if name in table.rows.columns]
    dated = table.contract.happened is not None
    if not columns or not dated or table.contract.ahead or table.rows.is_empty():
        return []
    column = columns[0]
    values = [c.name for c in table.contract.columns if c.name != column and c.type != "text"]
    others = [c.name for c in table.contract.columns if c.name not in (column, *values) and c.name in entity]
    if not values:
        return []
    rows = table.rows.filter(~pl.col(DELETED)).select(column, HAPPENED, *others, *values)
    hashes = rows.select(column).with_columns(rows.drop(column).hash_rows().alias(_HASH))
    # Sums of whole numbers are the same in any order, so nothing is sorted.
    signs = hashes.group_by(column).agg(_SIGN).filter(pl.col("len") >= _ALIKE)
    alike = signs.filter(signs.drop(column).is_duplicated()).sort(column)
    moving = rows.join(alike, on=column, how="semi").group_by(column).agg(pl.struct(values).n_unique().alias("_kinds"))
    alike = alike.join(moving.filter(pl.col("_kinds") > 1), on=column, how="semi", maintain_order="left")
    groups = alike.group_by("len", "_sum", "_rest", maintain_order=True).agg(pl.col(column).cast(pl.String))
    return [sorted(group) for group in groups.filter(pl.col(column).list.len() > 1)[column].to_list()]


def _in_table(table: Table) -> dict[str, pl.DataFrame]:
    """The rows that repeat, by what they repeat."""
    keys = list(table.contract.keys)
    values = [column.name for column in table.contract.columns if column.name not in keys] + [DELETED]
    rows = table.rows
    if not rows.height:
        return {}
    # A key that comes once cannot repeat itself; only the few others are ordered, and hashes say whether there are any.
    few = rows.select(keys).hash_rows().is_duplicated()
    repeated = rows.filter(few).sort([*keys, KNOWN, BATCH])
    repeated = repeated.filter(repeated.select(keys).is_duplicated()) if repeated.height else repeated
    within = repeated.filter(~pl.struct([*keys, BATCH]).is_first_distinct())
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1).over(keys)) for name in values)
    again = repeated.filter(same & (pl.int_range(pl.len()).over(keys) > 0) & (pl.col(BATCH).diff().over(keys) > 0))
    return {
        "repeated keys in a batch": within,
        "versions that repeat the one before": again,
        "rows of a batch loaded again under other keys": _renumbered(table),
    }


def _renumbered(table: Table) -> pl.DataFrame:
    """The rows of batches that equal an earlier batch in all but the key: a file loaded again with new row ids.

    Only keys of one column are left out, and of a table without a key the number among exact repeats.
    """
    contract, rows = table.contract, table.rows
    numbers = rows[BATCH].unique().sort().to_list()
    ids = [OCCURRENCE] if not contract.key else list(contract.keys) if len(contract.keys) == 1 else []
    content = [name for name in rows.columns if name not in (*ids, KNOWN, BATCH)]
    said = [name for name in content if name not in (HAPPENED, DELETED)]
    if len(numbers) < 2 or not ids or not said or ids == [HAPPENED]:
        return rows.clear()
    hashes = rows.select(BATCH).with_columns(rows.select(content).hash_rows().alias(_HASH))
    signs = hashes.group_by(BATCH).agg(_SIGN).filter(pl.col("len") >= _ALIKE).sort(BATCH)
    again = signs.filter(~pl.struct("len", "_sum", "_rest").is_first_distinct())[BATCH].to_list()
    kinds = dict(hashes.filter(pl.col(BATCH).is_in(again)).group_by(BATCH).agg(pl.col(_HASH).n_unique()).iter_rows())
    again = [number for number in again if 2 * kinds[number] >= signs.filter(pl.col(BATCH) == number)["len"][0]]
    batches = [rows.filter(pl.col(BATCH) == number) for number in again]
    kept = [batch for batch in batches if _new_ids(batch, rows, ids)]
    return pl.concat(kept) if kept else rows.clear()


def _new_ids(batch: pl.DataFrame, rows: pl.DataFrame, ids: list[str]) -> bool:
    """Whether a batch repeats others under keys of its own; under the same keys it is a version, and judged as one."""
    if ids == [OCCURRENCE]:
        return True
    number = batch[BATCH][0]
    return batch.join(rows.filter(pl.col(BATCH) < number), on=ids, how="semi").is_empty()


def _told(rows: pl.DataFrame) -> dict[str, str]:
    return {name: str(value) for name, value in rows.row(0, named=True).items() if name not in (DELETED, OCCURRENCE)}


__all__ = ["Duplicates", "same_series"]
