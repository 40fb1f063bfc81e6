"""Preflight of series: gaps, frequency, units, copies, and series that cannot be learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from foreproof.core.clock import moment
from foreproof.core.contract import HAPPENED
from foreproof.core.grid import Grid, periods
from foreproof.core.preflight import Finding, Subject

_ORDERS = 1.5
"""Groups whose typical quantity lies this many powers of ten from the others' count something else."""
_JUMP = 1.0
"""A level that moves by this many powers of ten and stays there is another unit."""
_COMMON = 20
_SHOWN = 5


def gaps(subject: Subject) -> list[Finding]:
    """Periods in which nothing at all happened, and how many periods single series miss."""
    grid = subject.grid
    if grid is None or subject.target is None:
        return []
    found = []
    seen = np.unique(periods(subject.rows, HAPPENED, grid).to_numpy())
    holes = np.setdiff1d(np.arange(seen[0], seen[-1] + 1), seen)
    if holes.size:
        named = ", ".join(_name(grid, int(hole)) for hole in holes[:_SHOWN]) + (" ..." if holes.size > _SHOWN else "")
        words = f"{holes.size} of {seen[-1] - seen[0] + 1} periods have no row in any series: {named}"
        fix = "closed, or lost? closed days are zeros to a model unless a feature (holiday:) explains them"
        found.append(subject.says("gaps", "warning", words, fix=fix, figures={"periods": int(holes.size)}))
    by_series = (
        _cells(subject, grid)
        .group_by(subject.entity or [pl.lit(0).alias("all")])
        .agg((pl.col("period").max() - pl.col("period").min() + 1 - pl.len()).alias("holes"), pl.len().alias("points"))
    )
    holed = by_series.filter(pl.col("holes") > 0)
    if holed.height and subject.entity:
        missed, present = int(holed["holes"].sum()), int(holed["points"].sum())
        share = missed / (missed + present)
        words = f"{holed.height:,} of {by_series.height:,} series have periods without rows ({share:.1%} of their life)"
        found.append(subject.says("gaps", "info", words, fix="series.gap says what such a period is worth"))
    short = by_series.filter(pl.col("points") == 1).height
    if short:
        words = f"{short:,} of {by_series.height:,} series have one period only"
        found.append(subject.says("short series", "warning", words, fix="nothing can be learned from them"))
    return found


def frequency(subject: Subject) -> list[Finding]:
    """Rows that come in another step than the plan's."""
    grid = subject.grid
    if grid is None or subject.target is None:
        return []
    cells = _cells(subject, grid).sort([*subject.entity, "period"])
    step = pl.col("period").diff().over(subject.entity) if subject.entity else pl.col("period").diff()
    steps = cells.select(step.alias("step")).drop_nulls()["step"]
    if steps.is_empty():
        return []
    commonest = int(steps.mode().sort()[0])
    if commonest <= 1:
        return []
    share = float((steps == commonest).mean() or 0.0)  # type: ignore[arg-type]
    words = f"{share:.0%} of rows follow the one before by {commonest} steps of {grid.describe()}"
    return [
        subject.says("frequency", "warning", words, wanted=f"one row a {grid.describe()}", fix="change series.every?")
    ]


def units(subject: Subject) -> list[Finding]:
    """Groups whose rows hold quantities of another order of magnitude than the others' do.

    By the mean row and not the median one: a group may count in two units at once.
    """
    target = subject.target
    if target is None or not subject.entity:
        return []
    value = pl.col(target.name).cast(pl.Float64) / target.scale
    groups = (
        subject.rows.drop_nulls(subject.entity)
        .group_by(subject.entity)
        .agg(value.filter(value > 0).mean().alias("typical"), value.sum().alias("sum"), pl.len().alias("rows"))
        .drop_nulls("typical")
        .filter(pl.col("rows") >= 10)
        .with_columns(pl.col("typical").log10().alias("order"))
    )
    if groups.height < 5:
        return []
    middle = float(groups["order"].median() or 0.0)  # type: ignore[arg-type]
    spread = float((groups["order"] - middle).abs().median() or 0.0)  # type: ignore[arg-type]
    far = groups.filter((pl.col("order") - middle).abs() > max(_ORDERS, 6 * spread)).sort("sum", descending=True)
    whole = float(groups["sum"].sum())
    found = []
    for row in far.head(_SHOWN).iter_rows(named=True):
        name = " / ".join(str(row[part]) for part in subject.entity)
        share = row["sum"] / whole if whole else 0.0
        words = (
            f"{name}: the mean row holds {row['typical']:,.0f} {target.unit or target.name}, elsewhere {10**middle:,.3g}; "
            f"it is {share:.1%} of the sum"
        )
        fix = "it counts in other units: leave it out (series.exclude), or convert it"
        figures = {"group": name, "typical": row["typical"], "usual": 10**middle, "share": share}
        found.append(subject.says("units", "warning", words, column=target.name, fix=fix, figures=figures))
    if far.height > 1 and whole:
        share = float(far["sum"].sum()) / whole
        words = f"{far.height} such groups together hold {share:.1%} of all {target.name}"
        found.append(subject.says("units", "warning", words, column=target.name, figures={"share": share}))
    return found


def jumps(subject: Subject) -> list[Finding]:
    """Series whose level moves by a power of ten or more, and stays there: a unit that was changed."""
    grid, target = subject.grid, subject.target
    if grid is None or target is None:
        return []
    cells = _cells(subject, grid).filter(pl.col("y") > 0).sort([*subject.entity, "period"])
    found = []
    groups = cells.group_by(subject.entity, maintain_order=True) if subject.entity else [((), cells)]
    for name, part in groups:
        if part.height < 2 * _COMMON:
            continue
        order = np.log10(part["y"].to_numpy())
        where, size = _best_split(order)
        if abs(size) >= _JUMP:
            said = " / ".join(str(one) for one in name) or "the series"
            at = _name(grid, int(part["period"][where]))
            words = f"{said}: from {at} on, values are {10**size:,.3g} times what they were"
            fix = "one unit over the whole history: convert the earlier or the later part"
            found.append(subject.says("unit jump", "warning", words, column=target.name, fix=fix))
    return found[: 4 * _SHOWN]


def _best_split(order: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, float]:
    """Where the mean level changes most (least squares), and the change of the median there, in powers of ten."""
    n = order.size
    places = np.arange(_COMMON // 2, n - _COMMON // 2 + 1)
    before = np.cumsum(order)[places - 1] / places
    after = (order.sum() - np.cumsum(order)[places - 1]) / (n - places)
    gain = places * (n - places) / n * (after - before) ** 2
    place = int(places[int(np.argmax(gain))])
    return place, float(np.median(order[place:]) - np.median(order[:place]))


def copies(subject: Subject) -> list[Finding]:
    """Series that are another one times a constant in every common period: one series under two names."""
    grid, target = subject.grid, subject.target
    if grid is None or target is None or not subject.entity:
        return []
    cells = _cells(subject, grid).filter(pl.col("y") != 0).sort([*subject.entity, "period"])
    scaled = cells.with_columns((pl.col("y") / pl.col("y").abs().max().over(subject.entity)).round(9).alias("shape"))
    prints = scaled.group_by(subject.entity, maintain_order=True).agg(
        (pl.struct("period", "shape").hash(7) % (2**40)).sum().alias("print"),
        pl.len().alias("points"),
        pl.col("shape").n_unique().alias("distinct"),
    )
    twins = prints.filter((pl.col("points") >= _COMMON) & (pl.col("distinct") > 3)).filter(
        pl.col("print").is_duplicated()
    )
    found = []
    for _, part in twins.group_by("print", maintain_order=True):
        names = [" / ".join(str(one) for one in row) for row in part.select(subject.entity).iter_rows()]
        words = f"{', '.join(names[:_SHOWN])} have the same shape in all {part['points'][0]} periods"
        fix = "one series under several names: keep one, or every score counts it twice"
        found.append(
            subject.says("copied series", "warning", words, column=target.name, fix=fix, figures={"series": names})
        )
    return found[:_SHOWN]


def still(subject: Subject) -> list[Finding]:
    """Series that are zero, or the same, in every period."""
    grid, target = subject.grid, subject.target
    if grid is None or target is None:
        return []
    cells = _cells(subject, grid)
    groups = cells.group_by(subject.entity or [pl.lit(0).alias("all")]).agg(
        (pl.col("y") == 0).all().alias("zero"), pl.col("y").n_unique().alias("distinct"), pl.len().alias("points")
    )
    found = []
    zero = groups.filter(pl.col("zero")).height
    if zero:
        words = f"{zero:,} of {groups.height:,} series are zero in every period"
        found.append(subject.says("constant series", "warning", words, column=target.name, fix="is that the target?"))
    flat = groups.filter(~pl.col("zero") & (pl.col("distinct") == 1) & (pl.col("points") >= 10)).height
    if flat:
        words = f"{flat:,} of {groups.height:,} series never change"
        found.append(subject.says("constant series", "warning", words, column=target.name))
    return found


def _cells(subject: Subject, grid: Grid) -> pl.DataFrame:
    """Entity columns, `period`, `y`: the sum of a period's rows, in the user's unit."""
    target = subject.target
    name = target.name if target is not None else HAPPENED
    scale = target.scale if target is not None else 1
    rows = subject.rows.with_columns(periods(subject.rows, HAPPENED, grid)).drop_nulls([*subject.entity])
    return rows.group_by([*subject.entity, "period"]).agg((pl.col(name).sum().cast(pl.Float64) / scale).alias("y"))


def _name(grid: Grid, period: int) -> str:
    at = moment(int(grid.at(np.array([period], dtype=np.int64))[0]), integer=grid.integer)
    if isinstance(at, int):
        return str(at)
    return str(pl.Series([at]).dt.convert_time_zone(grid.zone).dt.date()[0])


SERIES_CHECKS: Sequence[Callable[[Subject], list[Finding]]] = (gaps, frequency, units, jumps, copies, still)

__all__ = ["SERIES_CHECKS"]
