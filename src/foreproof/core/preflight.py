"""What would mislead a forecast, found before one is made: statistics of the rows, never their names.

Each check is a function of one table that gives findings. An error refuses the table (its contract says so); a warning is
something that a planner would want to know before believing a forecast; the rest is information.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import polars as pl

from foreproof.core.clock import Moment, literal, tick_values
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, Column, Contract
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.view import Table
from foreproof.errors import ForeproofError

Severity = Literal["error", "warning", "info"]
_ORDER = {"error": 0, "warning": 1, "info": 2}
FRAGMENT = 0.5
"""A period with fewer than this share of the usual rows is a fragment."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in a table: where, what, what was wanted, and what to do about it; `figures` are plain values."""

    table: str
    check: str
    severity: Severity
    found: str
    wanted: str = ""
    fix: str = ""
    column: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values, for `preflight.json` and the page."""
        names = ("severity", "table", "check", "column", "found", "wanted", "fix")
        return {**{name: getattr(self, name) for name in names}, "figures": dict(self.figures)}


@dataclass(frozen=True)
class Subject:
    """What is looked at: a parsed table, the batch as it was read, and, for the target's table, how series are made of it.

    now: None on an integer clock. existing: the table as the lake holds it, None before its first load.
    """

    table: Table
    raw: pl.DataFrame
    now: Moment | None
    grid: Grid | None = None
    entity: tuple[str, ...] = ()
    value: str = ""
    existing: Table | None = None

    @property
    def contract(self) -> Contract:
        """What the table promises."""
        return self.table.contract

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows that are no tombstones."""
        return self.table.rows.filter(~pl.col(DELETED))

    @property
    def target(self) -> Column | None:
        """The column that is forecast, in the table that holds it."""
        return self.contract.column(self.value) if self.value else None

    @property
    def numbers(self) -> list[Column]:
        """The number columns."""
        return [column for column in self.contract.columns if column.type in ("decimal", "real", "integer")]

    def says(self, check: str, severity: Severity, found: str, **more: Any) -> Finding:
        """A finding about this table."""
        return Finding(self.contract.name, check, severity, found, **more)


def preflight(subject: Subject) -> list[Finding]:
    """Everything that looks wrong in one batch of a table, gravest first."""
    from foreproof.core.preflight_series import SERIES_CHECKS

    if subject.rows.is_empty():
        return [subject.says("rows", "warning", "no rows but tombstones")]
    found = [finding for check in (*TABLE_CHECKS, *SERIES_CHECKS) for finding in check(subject)]
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


def refusal(error: ForeproofError, table: str) -> Finding:
    """A refused contract or source as a finding."""
    rows = list(getattr(error, "rows", ()))
    column = str(getattr(error, "column", "") or "")
    return Finding(table, "contract", "error", error.found, error.wanted, error.fix, column, {"rows": rows})


def write_preflight(findings: Sequence[Finding]) -> dict[str, Any]:
    """The report as plain values: counts by severity, and every finding."""
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in _ORDER}
    return {"counts": counts, "findings": [finding.as_dict() for finding in findings]}


def missing(subject: Subject) -> list[Finding]:
    """Empty places in columns that may be empty."""
    found = []
    for column in subject.contract.columns:
        count = subject.rows[column.name].null_count()
        if count:
            key = column.name in subject.entity
            words = (
                f"{count:,} of {subject.rows.height:,} rows ({count / subject.rows.height:.1%}) have no {column.name}"
            )
            fix = "they belong to no series: leave them out on purpose (exclude:), or mend them" if key else ""
            found.append(
                subject.says(
                    "missing", "warning" if key else "info", words, column=column.name, fix=fix, figures={"rows": count}
                )
            )
    return found


def repeated_rows(subject: Subject) -> list[Finding]:
    """Rows of the batch that are equal in every column."""
    count = subject.raw.height - subject.raw.n_unique()
    if not count:
        return []
    return [
        subject.says(
            "duplicates",
            "warning",
            f"{count:,} rows repeat another one in every column",
            wanted="each fact once",
            fix="mend the export, or say what repeats mean (duplicates: keep_last or sum; key: [] where they are real)",
            figures={"rows": count},
        )
    ]


def overlaps(subject: Subject) -> list[Finding]:
    """Keys of the batch that the lake holds already: the same values change nothing, others become new versions."""
    if subject.existing is None:
        return []
    keys = list(subject.contract.keys)
    values = [column.name for column in subject.contract.columns if column.name not in keys]
    stored = subject.existing.rows.sort(KNOWN, BATCH).unique(keys, keep="last", maintain_order=True)
    both = subject.rows.join(stored.select(*keys, *values), on=keys, how="inner", nulls_equal=True, suffix="_stored")
    if both.is_empty():
        return []
    same = [pl.col(name).eq_missing(pl.col(f"{name}_stored")) for name in values]
    changed = both.filter(~pl.all_horizontal(same)).height if same else 0
    words = f"{both.height:,} keys are in the lake already, {changed:,} of them with other values"
    fix = "they will supersede, as known from the time of loading" if changed else "nothing to do: they change nothing"
    figures = {"keys": both.height, "changed": changed}
    return [subject.says("overlap", "warning" if changed else "info", words, fix=fix, figures=figures)]


def clocks(subject: Subject) -> list[Finding]:
    """Rows that are known before they happen, and rows that lie beyond now."""
    found = []
    lead = subject.rows.filter(pl.col(KNOWN) < pl.col(HAPPENED)).height
    if lead and subject.contract.known.kind != "constant":
        severity: Severity = "info" if subject.contract.ahead else "error"
        words = f"{lead:,} of {subject.rows.height:,} rows are known before they happen"
        found.append(subject.says("clocks", severity, words, wanted="that only in a table of plans (ahead: true)"))
    if subject.now is not None:
        later = subject.rows.filter(pl.col(HAPPENED) > literal(subject.now)).height
        if later:
            severity = "info" if subject.contract.ahead else "error"
            found.append(subject.says("clocks", severity, f"{later:,} rows happen after now ({subject.now})"))
    return found


def stamp_zone(subject: Subject) -> list[Finding]:
    """Stamps written in one zone and days counted in another: how many rows change their day, and the last day there."""
    stamp = subject.contract.happened
    if stamp is None or not stamp.zone or stamp.zone == subject.contract.zone or subject.contract.integer:
        return []
    at = subject.rows[HAPPENED]
    here, there = (at.dt.convert_time_zone(zone).dt.date() for zone in (subject.contract.zone, stamp.zone))
    moved = float((here != there).mean() or 0.0)  # type: ignore[arg-type]
    words = (
        f"stamps are {stamp.zone}, days are counted in {subject.contract.zone}: {moved:.1%} of rows change their day"
    )
    found = [subject.says("time zone", "warning", words, column=stamp.column, figures={"share": moved})]
    return found + _ends(subject, parse_grid("1d", zone=stamp.zone), f" in {stamp.zone}")


def ends(subject: Subject) -> list[Finding]:
    """A first or last period that holds far fewer rows than is usual for its place in the season."""
    return _ends(subject, subject.grid, "") if subject.grid is not None else []


def _ends(subject: Subject, grid: Grid, where: str) -> list[Finding]:
    periods = pl.Series("period", grid.index(tick_values(subject.rows[HAPPENED])))
    counts = periods.value_counts().sort("period")
    found = []
    for place, name in ((0, "first"), (-1, "last")):
        period, rows = counts.row(place)
        phase = counts.filter((pl.col("period") != period) & ((pl.col("period") - period) % grid.season == 0))
        usual = phase.sort((pl.col("period") - period).abs()).head(8)["count"].median()
        if isinstance(usual, int | float) and phase.height >= 3 and rows < FRAGMENT * usual:
            words = f"the {name} period{where} has {rows:,} rows, where {usual:,.0f} are usual: a fragment"
            fix = "the history ends before it" if name == "last" else "series begin with it: leave it out if it matters"
            figures = {"rows": rows, "usual": usual}
            found.append(subject.says("partial period", "warning", words, fix=fix, figures=figures))
    return found


def constant_columns(subject: Subject) -> list[Finding]:
    """Columns that say the same in every row."""
    if subject.rows.height < 2:
        return []
    names = [column.name for column in subject.contract.columns if subject.rows[column.name].n_unique() == 1]
    return [
        subject.says("constant", "info", f"{name} is {subject.rows[name][0]!r} in every row", column=name)
        for name in names
    ]


def copied_columns(subject: Subject) -> list[Finding]:
    """Number columns that are another one times a constant: the same fact under two names."""
    found = []
    numbers = [column for column in subject.numbers if subject.rows[column.name].n_unique() > 2]
    for place, one in enumerate(numbers):
        for other in numbers[place + 1 :]:
            a = subject.rows[one.name].cast(pl.Float64) / one.scale
            b = subject.rows[other.name].cast(pl.Float64) / other.scale
            ratio = (b / a).filter((a != 0) & a.is_not_null() & b.is_not_null())
            if ratio.len() >= 0.5 * a.len() and _narrow(ratio) and ((a == 0) == (b == 0)).all():
                words = f"{other.name} is {float(ratio[0]):g} times {one.name} in every row"
                fix = "drop one: a copy of the target is the target"
                found.append(subject.says("copied column", "warning", words, column=other.name, fix=fix))
    return found


def _narrow(ratio: pl.Series) -> bool:
    low, high = float(ratio.min() or 0.0), float(ratio.max() or 0.0)  # type: ignore[arg-type]
    return high - low <= 1e-9 * max(abs(low), abs(high))


TABLE_CHECKS: Sequence[Callable[[Subject], list[Finding]]] = (
    missing,
    repeated_rows,
    overlaps,
    clocks,
    stamp_zone,
    ends,
    constant_columns,
    copied_columns,
)

__all__ = ["FRAGMENT", "TABLE_CHECKS", "Finding", "Severity", "Subject", "preflight", "refusal", "write_preflight"]
