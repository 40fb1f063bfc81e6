"""The slow twins of `foreproof.features`: one view a cutoff, plain loops, nothing shared with the fast code but the nouns."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.contract import BATCH, HAPPENED, KNOWN
from foreproof.core.grid import Grid
from foreproof.core.view import Database, View
from foreproof.features import (
    Affinity,
    Against,
    Age,
    Ahead,
    Calendar,
    Coming,
    CoPurchase,
    Custom,
    CutoffCalendar,
    Decay,
    Difference,
    Events,
    Feature,
    Holiday,
    Lag,
    Over,
    Rate,
    Ratio,
    Reading,
    Recency,
    Rhythm,
    Rolling,
    SeasonalLag,
    SeasonalRolling,
    Series,
    Share,
    Static,
    Tenure,
    Trend,
)  # fmt: skip
from naive_learned import affinity

Value = float | str | None
EPOCH = date(1970, 1, 1)
MONDAY = date(1969, 12, 29)


def period_of(grid: Grid, at: Moment) -> int:
    """The number of the period that holds a moment."""
    if isinstance(at, int):
        return math.ceil(at / grid.every)
    if grid.kind == "fixed":
        microseconds = (at - datetime(1970, 1, 1, tzinfo=at.tzinfo)) // timedelta(microseconds=1)
        return microseconds // grid.every
    return period_of_day(grid, at.astimezone(ZoneInfo(grid.zone)).date())


def period_of_day(grid: Grid, day: date) -> int:
    if grid.unit == "d":
        return (day - EPOCH).days // grid.every
    # week 0 is the one whose Monday is 29 December 1969, for weeks that end on Sunday
    return ((day - MONDAY).days + 6 - grid.week_end) // 7 // grid.every


def days_of(grid: Grid, period: int) -> list[date]:
    """The local dates of a period."""
    if grid.kind == "fixed":
        first = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC")) + timedelta(microseconds=period * grid.every)
        last = first + timedelta(microseconds=grid.every - 1)
        return sorted({first.astimezone(ZoneInfo(grid.zone)).date(), last.astimezone(ZoneInfo(grid.zone)).date()})
    length = grid.every * (1 if grid.unit == "d" else 7)
    near = EPOCH + timedelta(days=period * length)
    around = [near + timedelta(days=offset) for offset in range(-2 * length - 7, 2 * length + 8)]
    return [day for day in around if period_of_day(grid, day) == period]


def by_period(view: View, reading: Reading, by: tuple[str, ...], grid: Grid) -> dict[tuple[Any, ...], dict[int, float]]:
    """Per key and period: the aggregate of the visible rows, in the column's unit."""
    groups: dict[tuple[Any, ...], dict[int, list[tuple[Any, ...]]]] = {}
    contract = view.tables[reading.table].contract
    column = contract.column(reading.column) if reading.column else None
    for row in view[reading.table].to_dicts():
        if any(row[name] is None for name in by):
            continue
        if any(text(row[name]) not in values for name, values in reading.keep):
            continue
        if any(text(row[name]) in values for name, values in reading.drop):
            continue
        value = 1 if column is None else row[column.name]
        if value is None:
            continue
        key = tuple(row[name] for name in by)
        fact = (row[HAPPENED], row[KNOWN], row[BATCH], value)
        groups.setdefault(key, {}).setdefault(period_of(grid, row[HAPPENED]), []).append(fact)
    scale = column.scale if column is not None else 1
    return {
        key: {period: aggregate(found, reading.aggregate, scale) for period, found in periods.items()}
        for key, periods in groups.items()
    }


def text(value: Any) -> str | None:
    """A value as the plan writes it."""
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def aggregate(found: list[tuple[Any, ...]], how: str, scale: int) -> float:
    values = sorted(fact[-1] for fact in found)
    match how:
        case "sum":
            return sum(values) / scale
        case "mean":
            return sum(values) / (len(values) * scale)
        case "last":
            return max(found)[-1] / scale
        case "min":
            return values[0] / scale
        case "max":
            return values[-1] / scale
        case _:
            return float(len(values))


def series_at(view: View, spec: Series) -> dict[tuple[Any, ...], dict[int, float]]:
    """Per series: y by period of the facts, those up to the view's cutoff; a series without any does not exist."""
    reading = Reading(spec.table, spec.value, spec.aggregate, spec.gap, spec.keep, spec.drop)
    end = period_of(spec.grid, view.cutoff)
    found = by_period(view, reading, spec.by, spec.grid)
    past = {key: {p: y for p, y in periods.items() if p <= end} for key, periods in found.items()}
    return {key: periods for key, periods in sorted(past.items()) if periods}


def value_at(periods: dict[int, float], gap: str, start: int, period: int) -> float | None:
    """One period by the gap rule."""
    if period in periods:
        return periods[period]
    if gap == "zero":
        return 0.0 if period >= start else None
    if gap == "carry":
        earlier = [p for p in periods if p < period]
        return periods[max(earlier)] if earlier else None
    return None


def target(view: View, spec: Series) -> pl.DataFrame:
    """The twin of `features.target`."""
    rows = []
    end = period_of(spec.grid, view.cutoff)
    for key, periods in series_at(view, spec).items():
        for period in range(min(periods), end + 1):
            rows.append((*key, period, value_at(periods, spec.gap, min(periods), period)))
    schema = dict.fromkeys(spec.by, pl.String) | {"period": pl.Int64, "y": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def labels(
    database: Database, spec: Series, cutoffs: list[Moment], horizon: int, at: Moment | None
) -> list[tuple[Any, ...]]:
    """The twin of `features.labels`: (by ..., cutoff, step, y)."""
    last = max((period_of(spec.grid, known) for known in database[spec.table].rows[KNOWN].to_list()), default=0)
    moment = spec.grid.add(cutoffs[0], max(last, 0) + 10_000 - period_of(spec.grid, cutoffs[0])) if at is None else at
    truth = series_at(database.as_of(moment), spec)
    ends = [p for periods in truth.values() for p in periods]
    end = max(ends, default=-(10**9)) if at is None else period_of(spec.grid, at)
    rows = []
    for cutoff in sorted(cutoffs):  # type: ignore[type-var]
        c = period_of(spec.grid, cutoff)
        for key in series_at(database.as_of(cutoff), spec):
            for step in range(1, horizon + 1):
                if c + step > end:
                    continue
                periods = truth.get(key, {})
                rows.append((*key, cutoff, step, value_at(periods, spec.gap, -(10**9), c + step)))
    return sorted(rows, key=lambda row: (row[: len(spec.by)], row[-3:-1]))


class Naive:
    """One view at one cutoff: what every feature is worth for a series and a step."""

    def __init__(self, database: Database, spec: Series, cutoff: Moment, horizon: int) -> None:
        self.database, self.spec, self.horizon = database, spec, horizon
        self.view = database.as_of(cutoff)
        self.now = period_of(spec.grid, cutoff)
        self.series = series_at(self.view, spec)

    def lookup(self, key: tuple[Any, ...], of: Reading | None, period: int) -> float | None:
        start = min(self.series[key])
        if of is None:
            return value_at(self.series[key], self.spec.gap, start, period)
        names = {column.name for column in self.view.tables[of.table].contract.columns}
        shared = tuple(name for name in self.spec.by if name in names)
        own = tuple(part for part, name in zip(key, self.spec.by, strict=True) if name in names)
        periods = by_period(self.view, of, shared, self.spec.grid).get(own, {})
        return value_at(periods, of.gap, start, period)

    def values(self, key: tuple[Any, ...], of: Reading | None, periods: list[int]) -> list[float]:
        found = [self.lookup(key, of, period) for period in periods]
        return [value for value in found if value is not None]

    def phase(self, season: int, step: int) -> int:
        """The latest period of the target's phase that is not after the cutoff."""
        period = self.now + step
        while period > self.now:
            period -= season
        return period

    def feature(self, feature: Feature, key: tuple[Any, ...], step: int) -> Value:
        aim = self.now + step
        start = min(self.series[key])
        anchor = self.now if getattr(feature, "anchor", "cutoff") == "cutoff" else aim
        match feature:
            case Lag(lag=lag, of=of):
                return self.lookup(key, of, anchor - lag)
            case SeasonalLag(season=season, k=k, of=of):
                return self.lookup(key, of, self.phase(season, step) - (k - 1) * season)
            case Rolling(stat=stat, window=window, lag=lag, of=of):
                end = anchor - lag
                first = end - window + 1 if window is not None else min(end, *self.all_periods(key))
                return statistic(stat, self.values(key, of, list(range(first, end + 1))))
            case SeasonalRolling(stat=stat, season=season, count=count, of=of):
                last = self.phase(season, step)
                return statistic(stat, self.values(key, of, [last - j * season for j in range(count)]))
            case Difference(lag=lag, span=span, of=of):
                later, earlier = self.lookup(key, of, anchor - lag), self.lookup(key, of, anchor - lag - span)
                return None if later is None or earlier is None else later - earlier
            case Ratio(window=window, base=base, lag=lag, of=of):
                end = anchor - lag
                short = statistic("mean", self.values(key, of, list(range(end - window + 1, end + 1))))
                long = statistic("mean", self.values(key, of, list(range(end - base + 1, end + 1))))
                return None if short is None or long is None or long == 0 else short / long
            case Age():
                return float(self.now - start)
            case Calendar(part="phase", season=season):
                return float(aim % season)
            case Calendar(part="trend"):
                return float(aim - start)
            case Calendar(part=part):
                return calendar(self.spec.grid, part, aim)
            case Holiday():
                return holiday(self.spec.grid, feature, aim)
            case Static():
                return self.static(feature, key)
            case Ahead(offset=offset):
                if step + offset > self.horizon:
                    return None
                found = self.lookup(key, feature.reading, aim + offset)
                return 0.0 if found is None and feature.aggregate in ("sum", "count") else found
            case _:
                own = dict(zip(self.spec.by, key, strict=True))
                return event_value(self.view, self.spec.grid, feature, own)

    def all_periods(self, key: tuple[Any, ...]) -> list[int]:
        return list(self.series[key])

    def static(self, feature: Static, key: tuple[Any, ...]) -> Value:
        own = {name: part for part, name in zip(key, self.spec.by, strict=True)}
        return static_value(self.view, self.spec.grid, feature, own)


def static_value(view: View, grid: Grid, feature: Static, own: dict[str, Any]) -> Value:
    """The last row of a slowly changing table that a view holds, up to its cutoff's period."""
    contract = view.tables[feature.table].contract
    column, now = contract.column(feature.column), period_of(grid, view.cutoff)
    best = None
    for row in view[feature.table].to_dicts():
        if any(row[c.name] != own[c.name] for c in contract.columns if c.name in own):
            continue
        if period_of(grid, row[HAPPENED]) > now or row[feature.column] is None:
            continue
        rank = (row[HAPPENED], row[KNOWN], row[BATCH], row[feature.column])
        best = rank if best is None or rank > best else best
    if best is None:
        return None
    return best[-1] if column.type == "text" else best[-1] / column.scale


Happening = tuple[int, Any, float | None]
"""Period, rank within it, and the value in the column's unit."""


def happenings(view: View, grid: Grid, of: Events, column: str, own: dict[str, Any]) -> list[Happening]:
    """The rows of an entity's events up to the cutoff, oldest first."""
    contract = view.tables[of.table].contract
    names = {c.name for c in contract.columns}
    shared = [name for name in own if name in names and (of.along is None or name in of.along)]
    scale = contract.column(column).scale if column else 1
    found: list[Happening] = []
    for row in view[of.table].to_dicts():
        wrong = any(row[name] != own[name] for name in shared)
        wrong = wrong or any(text(row[name]) not in values for name, values in of.keep)
        wrong = wrong or any(text(row[name]) in values for name, values in of.drop)
        period = period_of(grid, row[HAPPENED])
        if wrong or period > period_of(grid, view.cutoff):
            continue
        value = row[column] if column else None
        rank = (row[HAPPENED], row[KNOWN], row[BATCH], 0 if value is None else value)
        unit = value if value is None or isinstance(value, str) else value / scale
        found.append((period, rank, unit))
    return sorted(found, key=lambda one: (one[0], one[1]))


def over(view: View, grid: Grid, feature: Over, own: dict[str, Any]) -> float | None:
    end = period_of(grid, view.cutoff) - feature.lag
    first = -(10**9) if feature.window is None else end - feature.window
    rows = [one for one in happenings(view, grid, feature.of, feature.column, own) if one[0] > first and one[0] <= end]
    values = [value for _, _, value in rows if value is not None]
    match feature.stat:
        case "count":
            return float(len(rows))
        case "active":
            return float(len({period for period, _, _ in rows}))
        case "distinct":
            return float(len(set(values)))
        case "sum":
            return math.fsum(values)
        case "mean":
            return math.fsum(values) / len(values) if values else None
        case "last":
            return values[-1] if values else None
        case "min":
            return min(values, default=None)
        case _:
            return max(values, default=None)


def event_value(view: View, grid: Grid, feature: Any, own: dict[str, Any]) -> Value:
    """The twin of every feature of events: the entity's rows, and plain arithmetic."""
    now = period_of(grid, view.cutoff)
    match feature:
        case Over():
            return over(view, grid, feature, own)
        case Against(kind=kind):
            near, base = (over(view, grid, part, own) for part in feature.parts)
            if near is None or base is None or (kind == "ratio" and base == 0):
                return None
            return near / base if kind == "ratio" else near - base
        case Share():
            mine, all_of = (over(view, grid, part, own) for part in feature.parts)
            assert mine is not None
            return mine / all_of if all_of else None
        case Trend(parts=parts):
            sums = [over(view, grid, part, own) or 0.0 for part in feature.windows]
            middle = (parts - 1) / 2
            return sum((j - middle) * s for j, s in enumerate(sums)) / sum((j - middle) ** 2 for j in range(parts))
        case Recency(form=form, lag=lag):
            periods = [p for p, _, _ in happenings(view, grid, feature.of, "", own) if p <= now - lag]
            if not periods:
                return 0.0 if form == "inverse" else None
            r = now - lag - max(periods)
            return {"steps": float(r), "log": math.log1p(r), "inverse": 1 / (1 + r)}[form]
        case Tenure(edges=edges, lag=lag):
            periods = [p for p, _, _ in happenings(view, grid, feature.of, "", own) if p <= now - lag]
            if not periods:
                return None
            age = now - lag - min(periods)
            return float(sum(edge <= age for edge in edges)) if edges else float(age)
        case Rhythm(part=part, lag=lag):
            seen = sorted({p for p, _, _ in happenings(view, grid, feature.of, "", own) if p <= now - lag})
            if part == "hazard":
                return len(seen) / (now - lag - seen[0] + 1) if seen else None
            if len(seen) < 2:
                return None
            interval = (seen[-1] - seen[0]) / (len(seen) - 1)
            return interval if part == "interval" else seen[-1] + interval - (now - lag)
        case Decay(half_life=half_life, column=column, lag=lag):
            rows = [one for one in happenings(view, grid, feature.of, column, own) if one[0] <= now - lag]
            weigh = [(2 ** (-(now - lag - p) / half_life), 1.0 if not column else v or 0.0) for p, _, v in rows]
            return math.fsum(w * v for w, v in weigh)
        case CutoffCalendar(part=part):
            return calendar(grid, part, now)
        case Rate():
            return rate(view, grid, feature, own)
        case CoPurchase():
            return copurchase(view, grid, feature, own)
        case Affinity():
            return affinity(view, grid, feature, own, now=now, period_of=period_of)
        case Coming(part=part, within=within, table=name):
            names = [c.name for c in view.tables[name].contract.columns if c.name in own]
            steps = [
                period_of(grid, row[HAPPENED]) - now
                for row in view[name].to_dicts()
                if all(row[n] == own[n] for n in names)
            ]
            inside = [step for step in steps if 1 <= step <= within]
            return float(len(inside)) if part == "count" else float(min(inside)) if inside else None
        case Custom():
            rows = [row for row in view["sales"].to_dicts() if row["sku"] == own.get("sku")]
            return float(len(rows)) if rows else None
        case _:
            raise AssertionError(feature)


def rate(view: View, grid: Grid, feature: Rate, own: dict[str, Any]) -> float | None:
    """Micci-Barreca's encoder, from all rows of the table."""
    end = period_of(grid, view.cutoff) - feature.lag
    rows = [(period_of(grid, row[HAPPENED]), row) for row in view[feature.of.table].to_dicts()]
    life = [row for period, row in rows if period <= end]
    near = [row for period, row in rows if end - feature.window < period <= end]
    units, items = {row[feature.unit] for row in life}, {row[feature.item] for row in life}
    if not units:
        return None
    value = len({(row[feature.unit], row[feature.item]) for row in near}) / (len(units) * len(items))
    for by in ((),) if not feature.by else ((), feature.by):
        among = [row for row in near if all(row[name] == own[name] for name in (*by, feature.item))]
        known = [row for row in life if all(row[name] == own[name] for name in by)]
        n, d = len({row[feature.unit] for row in among}), len({row[feature.unit] for row in known})
        value = (n + feature.prior * value) / (d + feature.prior) if d + feature.prior else 0.0
    return value


def copurchase(view: View, grid: Grid, feature: CoPurchase, own: dict[str, Any]) -> float | None:
    """The mean lift of the pair's item with the unit's other items."""
    end = period_of(grid, view.cutoff) - feature.lag
    rows = [
        (period_of(grid, row[HAPPENED]), row[feature.unit], row[feature.item]) for row in view[feature.table].to_dicts()
    ]
    life = {unit for period, unit, _ in rows if period <= end}
    near = [(unit, item) for period, unit, item in rows if end - feature.window < period <= end]
    met: dict[str, set[str]] = {}
    for unit, item in near:
        met.setdefault(unit, set()).add(item)
    unit, item = own[feature.unit], own[feature.item]
    others = met.get(unit, set()) - {item}
    if not others or item not in {one for _, one in near}:
        return None

    def many(*items: str) -> int:
        return 1 + sum(set(items) <= has for has in met.values())

    lifts = [many(item, other) * (len(life) + 1) / (many(item) * many(other)) for other in others]
    return math.fsum(lifts) / len(lifts)


def statistic(stat: str, values: list[float]) -> float | None:
    if not values or (stat == "std" and len(values) < 2):
        return None
    match stat:
        case "mean":
            return math.fsum(values) / len(values)
        case "sum":
            return math.fsum(values)
        case "std":
            mean = math.fsum(values) / len(values)
            return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
        case "min":
            return min(values)
        case "max":
            return max(values)
        case _:
            return float(sum(value != 0 for value in values))


def calendar(grid: Grid, part: str, period: int) -> float:
    day = days_of(grid, period)[-1]
    match part:
        case "weekday":
            return day.isoweekday()
        case "day":
            return day.day
        case "day_of_year":
            return (day - date(day.year, 1, 1)).days + 1
        case "week":
            return day.isocalendar().week
        case "month":
            return day.month
        case "quarter":
            return (day.month + 2) // 3
        case "year":
            return day.year
        case _:  # hour: the last one of the period
            return (
                23
                if grid.kind == "calendar"
                else period * grid.every // 3_600_000_000 % 24 + grid.every // 3_600_000_000 - 1
            )


def holiday(grid: Grid, feature: Holiday, period: int) -> Value:
    days = days_of(grid, period)
    last = days[-1]
    known = holidays.country_holidays(
        feature.country, subdiv=feature.subdivision or None, years=range(last.year - 1, last.year + 2)
    )
    inside = [known[day] for day in days if day in known]
    match feature.part:
        case "is":
            return float(len(inside))
        case "name":
            return inside[0] if inside else None
        case "to_next":
            ahead = [n for n in range(feature.within + 1) if last + timedelta(days=n) in known]
            return float(ahead[0]) if ahead else None
        case _:
            behind = [n for n in range(feature.within + 1) if last - timedelta(days=n) in known]
            return float(behind[0]) if behind else None


def rows(
    database: Database, spec: Series, features: tuple[Feature, ...], cutoffs: list[Moment], horizon: int
) -> dict[tuple[Any, ...], dict[str, Value]]:
    """The twin of `compile_rows`: (by ..., cutoff, step) to each feature's value, in the order of the frame."""
    out = {}
    for cutoff in cutoffs:
        naive = Naive(database, spec, cutoff, horizon)
        for key in naive.series:
            for step in range(1, horizon + 1):
                out[(*key, cutoff, step)] = {f.name: naive.feature(f, key, step) for f in features}
    return dict(sorted(out.items(), key=lambda item: (item[0][: len(spec.by)], item[0][len(spec.by) :])))
