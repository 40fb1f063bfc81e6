"""The feature compiler: declared features to rows, in one pass over all (series, cutoff) pairs.

Training, backtest and serving call this one function with more or fewer cutoffs (law 5). It reads the database, because
the one pass sees all versions; each kernel counts a version only for the cutoffs that a view would show it to (laws 1-3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.clock import Moment, Ticks, ticks, time_column
from foreproof.core.grid import Grid
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput
from foreproof.features import ahead, calendar, encoders, events, lags, learned, rhythm, statics, viewed, windows
from foreproof.features.cells import (
    FAR,
    Reading,
    Values,
    cells,
    coded,
    facts,
    keyed,
    number_column,
    shared_columns,
    stored_number,
)
from foreproof.features.context import Asked, Column, Context, Demand, Ledgers, Shape, Sourced, Text, open_chunk
from foreproof.features.declare import Feature, check_law
from foreproof.features.gather import coarser, event_source
from foreproof.features.kernels import Bools, earliest
from foreproof.features.ledger import Events, EventSource, Tally
from foreproof.features.population import Population
from foreproof.features.series import Series, VersionedSeries, cutoff_periods, steps_of, versioned_series

CHUNK_BYTES = 2**28
"""What the panels of one chunk of series may take."""
PAIR_BYTES = 2**25
"""What the features and running sums of one chunk of pairs may take: small enough to stay near the processor."""
_CELL_BYTES = 9


@dataclass(frozen=True, slots=True)
class Family:
    """How a feature is made: the lags that it reads, and its column."""

    reads: Callable[[Any, Shape], Demand]
    column: Callable[[Context, Any], Column]


def _no_reads(feature: Feature, shape: Shape) -> Demand:
    return []


def _events(column: Callable[[Context, Any], Column]) -> Family:
    """A family that reads events, and no series."""
    return Family(_no_reads, column)


FAMILIES: Mapping[type, Family] = {
    lags.Lag: Family(lags.lag_reads, lags.lag_column),
    lags.SeasonalLag: Family(lags.seasonal_lag_reads, lags.seasonal_lag_column),
    lags.Difference: Family(lags.difference_reads, lags.difference_column),
    lags.Age: Family(lags.age_reads, lags.age_column),
    windows.Rolling: Family(windows.rolling_reads, windows.rolling_column),
    windows.SeasonalRolling: Family(windows.seasonal_rolling_reads, windows.seasonal_rolling_column),
    windows.Ratio: Family(windows.ratio_reads, windows.ratio_column),
    calendar.Calendar: Family(calendar.no_reads, calendar.calendar_column),
    calendar.Holiday: Family(calendar.no_reads, calendar.holiday_column),
    statics.Static: Family(statics.static_reads, statics.static_column),
    ahead.Ahead: Family(ahead.ahead_reads, ahead.ahead_column),
    events.Over: _events(events.over_column),
    events.Against: _events(events.against_column),
    events.Share: _events(events.share_column),
    events.Trend: _events(events.trend_column),
    rhythm.Recency: _events(rhythm.recency_column),
    rhythm.Tenure: _events(rhythm.tenure_column),
    rhythm.Rhythm: _events(rhythm.rhythm_column),
    rhythm.Decay: _events(rhythm.decay_column),
    encoders.Rate: _events(encoders.rate_column),
    viewed.Coming: _events(viewed.viewed_column),
    viewed.CoPurchase: _events(viewed.viewed_column),
    viewed.Custom: _events(viewed.viewed_column),
    learned.Affinity: _events(viewed.viewed_column),
    calendar.CutoffCalendar: _events(calendar.cutoff_column),
}
_WITHOUT_SERIES = (statics.Static, *(kind for kind, family in FAMILIES.items() if family.reads is _no_reads))


def compile_rows(
    database: Database,
    spec: Series,
    features: Sequence[Feature],
    cutoffs: Sequence[Moment],
    horizon: int,
    *,
    entities: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Columns `by`, `cutoff`, `step` (1 ... horizon), then one a feature (Float64, String for text): sorted by the first three.

    One row for each series that had begun at the cutoff, as known then (and is among `entities`, if given), and each step.
    Equal, bit for bit, on the database truncated at a row's cutoff. Raises LawError where a feature would read after a
    cutoff; BadInput for no cutoffs, one that is no grid point, a horizon below 1, an unknown table, or two features of one
    name; PlanError for an unknown column.
    """
    steps = steps_of(horizon)
    _separate(features, spec.by)
    for feature in features:
        check_law(feature, horizon)
    points = cutoff_periods(spec.grid, sorted(set(cutoffs), key=ticks))
    series = versioned_series(database, spec)
    if not len(points):
        raise BadInput("cutoffs", found="none", wanted="at least one cutoff to make rows for")
    shape = Shape(steps, _deepest(series, points), _sweeps(series))
    demands = _demands(features, shape)
    sources = _sources(database, series, features, list(demands))
    start = earliest(series.cells, cutoffs=points, size=series.size)
    seen = learned.frames_by_cutoff(database, features, points, grid=spec.grid, entity=spec.by)
    whole = Context(spec.grid, points, steps, start, sources, {}, shape, viewed=seen, names=series.keys)
    ledgers = _ledgers(database, features, keys=series.keys, size=series.size, grid=spec.grid)
    width = len(points) * (_CELL_BYTES * sum(len(wanted) for wanted in demands.values()) + 8 * horizon * 4)
    chunks = batches(_wanted(series, entities), max(1, CHUNK_BYTES // max(width, 1)))
    return pl.concat(
        [
            _rows(open_chunk(whole, demands, codes, ledgers, exists=exists), features, exists)
            for codes, exists in ((codes, start[codes] <= points) for codes in chunks)
        ]
    )


def compile_pairs(
    database: Database, population: Population, features: Sequence[Feature], horizon: int
) -> pl.DataFrame:
    """`compile_rows` for entities that need no series: entity columns, `cutoff`, `step` (the horizon), then one a feature.

    One row a member of the population, sorted. Features are those of events, statics and the cutoff's calendar; one of a
    series' y is refused (BadInput). Equal, bit for bit, on the database truncated at a row's cutoff, and whatever else is in
    the population.
    """
    return pl.concat(list(pair_chunks(database, population, features, horizon)))


def pair_chunks(
    database: Database, population: Population, features: Sequence[Feature], horizon: int
) -> Iterator[pl.DataFrame]:
    """The rows of `compile_pairs` in parts of bounded size, for whoever need not hold them all."""
    steps, points, grid = steps_of(horizon)[-1:], population.cutoffs, population.grid
    _separate(features, population.entity)
    for feature in features:
        check_law(feature, horizon)
        if not isinstance(feature, _WITHOUT_SERIES):
            raise BadInput(
                f"feature {feature.name}",
                found=f"{type(feature).__name__}, which reads a series' y",
                wanted="features of events, statics or the cutoff's calendar, where entities have no series",
                fix="use over, recency, decay and so on",
            )
    if not len(points):
        raise BadInput("cutoffs", found="none", wanted="at least one cutoff to make rows for")
    size = population.keys.height
    sources: dict[Reading | Feature | None, Sourced] = {}
    for feature in features:
        if isinstance(feature, statics.Static):
            table = database[feature.table]
            sources[feature] = statics.static_source(table, feature, population.keys, by=population.entity, grid=grid)
    start = np.full((size, len(points)), FAR, dtype=np.int64)
    seen = learned.frames_by_cutoff(database, features, points, grid=grid, entity=population.entity)
    shape = Shape(steps, 0, sweeps=False)
    whole = Context(grid, points, steps, start, sources, {}, shape, viewed=seen, names=population.keys)
    ledgers = _ledgers(database, features, keys=population.keys, size=size, grid=grid)
    most = max(1, PAIR_BYTES // (8 * len(points) * max(1, len(features))))
    for codes in batches(np.arange(size, dtype=np.int64), most):
        exists = population.member[codes]
        yield _rows(open_chunk(whole, {}, codes, ledgers, exists=exists), features, exists)


def _ledgers(database: Database, features: Sequence[Feature], *, keys: pl.DataFrame, size: int, grid: Grid) -> Ledgers:
    """Each reading of events, once."""
    tallies: dict[Events, list[Tally]] = {}
    for feature in features:
        for tally in getattr(feature, "tallies", ()):
            tallies.setdefault(tally.events, []).append(tally)
    sources: dict[Events, EventSource] = {}
    # the finest first: coarser ones may be made of it
    shared = {read: _shared(database[read.table], read, keys) for read in tallies}
    for read in sorted(tallies, key=lambda read: -len(shared[read])):
        table, wanted = database[read.table], tallies[read]
        own, key = keyed(keys, table, shared[read])
        key = key if keys.width else np.zeros(size, np.int64)
        finer = next((f for f in sources if _finer(f, read) and set(shared[read]) < set(shared[f])), None)
        source = None
        if finer is not None:
            source = coarser(sources[finer], wanted, key=key, size=own.height if shared[read] else 1)
        sources[read] = source or event_source(table, read, wanted, keys=own, key=key, grid=grid)
    return sources


def _finer(fine: Events, coarse: Events) -> bool:
    """Whether both read the same rows of one table, by other columns."""
    return replace(fine, along=None) == replace(coarse, along=None)


def _shared(table: Table, read: Events, keys: pl.DataFrame) -> tuple[str, ...]:
    """The columns by which rows of a table are an entity's."""
    shared = shared_columns(table, keys.columns)
    if read.along is None:
        return shared
    unknown = [name for name in read.along if name not in shared]
    if unknown:
        raise BadInput(
            f"events of {read.table}",
            found=f"along {', '.join(unknown)}",
            wanted=f"columns of the entity that the table has ({', '.join(shared) or 'none'})",
        )
    return tuple(name for name in shared if name in read.along)


def batches(codes: Ticks, size: int) -> list[Ticks]:
    """The codes in runs of at most `size`: what is in memory at once; no codes are one empty run."""
    return [codes[low : low + size] for low in range(0, max(len(codes), 1), size)]


def _rows(context: Context, features: Sequence[Feature], exists: Bools) -> pl.DataFrame:
    """The rows of some entities, named, where they exist (E x C)."""
    entity, steps = context.entity, len(context.steps)
    at = context.grid.at(context.cutoffs)[np.repeat(context.turn, steps)]
    index = [
        *(context.names[np.repeat(entity, steps)].get_columns() if context.names.width else []),
        time_column(CUTOFF, at, integer=context.grid.integer),
        pl.Series(STEP, np.tile(context.steps, len(entity)), dtype=pl.Int64),
    ]
    made = [
        _column(feature, FAMILIES[type(feature)].column(context, feature), exists, steps, rows=len(entity))
        for feature in features
    ]
    return pl.DataFrame([*index, *made])


def _column(feature: Feature, made: Column, exists: Bools, steps: int, *, rows: int) -> pl.Series:
    """[E, C, S], or a value a row, to one value for each row that exists and step."""
    if isinstance(made, Asked):
        flat: Values = made.values
    else:
        array = made.place if isinstance(made, Text) else made
        flat = np.broadcast_to(array, (*exists.shape, array.shape[2]))[exists]
    if flat.shape != (rows * steps,):
        flat = np.broadcast_to(flat.reshape(rows, -1 if rows else 1), (rows, steps)).reshape(-1)
    if isinstance(made, Text):
        place = pl.Series(flat, dtype=pl.Int64)
        return made.values.gather(place.set(place < 0, None)).alias(feature.name)
    return pl.Series(feature.name, flat, dtype=pl.Float64, nan_to_null=True)


def _separate(features: Sequence[Feature], by: Sequence[str]) -> None:
    names = [feature.name for feature in features]
    for name in names:
        if names.count(name) > 1 or name in (*by, CUTOFF, STEP):
            raise BadInput(f"feature {name}", found="the name twice", wanted="one column of that name", fix="drop one")
    for feature in features:
        if type(feature) not in FAMILIES:
            raise BadInput(f"feature {feature.name}", found=type(feature).__name__, wanted="a declared feature")


def _deepest(series: VersionedSeries, points: Ticks) -> int:
    """The largest lag at which some series has a fact that some cutoff may see."""
    if not len(series.cells.period):
        return 0
    return max(0, int(points.max() - series.cells.period.min()))


def _sweeps(series: VersionedSeries) -> bool:
    return series.cells.exact and series.spec.gap != "carry"


def _demands(features: Sequence[Feature], shape: Shape) -> dict[Reading | None, Ticks]:
    """The lags that each reading needs, rising, each once: features on many anchors share them."""
    wanted: dict[Reading | None, set[int]] = {}
    for feature in features:
        for reading, lag in FAMILIES[type(feature)].reads(feature, shape):
            wanted.setdefault(reading, set()).add(lag)
    return {reading: np.array(sorted(lags), dtype=np.int64) for reading, lags in wanted.items()}


def _sources(
    database: Database, series: VersionedSeries, features: Sequence[Feature], readings: Sequence[Reading | None]
) -> dict[Reading | Feature | None, Sourced]:
    """Each table that is read, resolved once."""
    spec = series.spec
    own = Sourced(series.cells, np.arange(series.size, dtype=np.int64), spec.gap)
    sources: dict[Reading | Feature | None, Sourced] = {None: own}
    for feature in features:
        if isinstance(feature, ahead.Ahead):
            ahead.check_ahead(feature, database[feature.table])
        if isinstance(feature, statics.Static):
            table = database[feature.table]
            sources[feature] = statics.static_source(table, feature, series.keys, by=spec.by, grid=spec.grid)
    for reading in readings:
        if reading is not None:
            sources[reading] = _reading_source(database, series, reading)
    return sources


def _reading_source(database: Database, series: VersionedSeries, reading: Reading) -> Sourced:
    table = database[reading.table]
    column = number_column(table, reading)
    shared = shared_columns(table, series.spec.by)
    keys, key = keyed(series.keys, table, shared)
    rows = facts(table, stored_number(column), by=shared, grid=series.spec.grid, where=(reading.keep, reading.drop))
    scale = 1 if column is None else column.scale
    found = cells(coded(rows, keys, by=shared), aggregate=reading.aggregate, scale=scale)
    return Sourced(found, key, reading.gap)


def _wanted(series: VersionedSeries, entities: pl.DataFrame | None) -> Ticks:
    """The codes of the series asked for, rising."""
    codes = np.arange(series.size, dtype=np.int64)
    if entities is None or not series.spec.by:
        return codes
    by = list(series.spec.by)
    named = series.keys.with_row_index("_code").join(entities.select(by).unique(), on=by, how="semi")
    return np.sort(named["_code"].to_numpy().astype(np.int64))


__all__ = ["CHUNK_BYTES", "FAMILIES", "Family", "batches", "compile_pairs", "compile_rows", "pair_chunks"]
