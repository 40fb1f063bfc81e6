"""A stranger's pipeline as a `Build`: a function of frames and a cutoff, a function of rows, or a model that is fitted.

Features of strangers are compared at seven significant digits: a matrix product or a Fourier transform may change its last
bits with the number of rows, and no leak is that small.
"""

from __future__ import annotations

import inspect
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from foreproof.core.clock import INSTANT, Moment, literal, ticks
from foreproof.core.contract import HAPPENED
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.core.trial import Build, Built, Forecasts, Trial
from foreproof.core.view import Database
from foreproof.engine.frames import Given, clock_values
from foreproof.errors import BadInput

DIGITS = 7
ALL = "rows"
"""The entity of features that have none."""
NUMBER, _TAKEN = "number", (CUTOFF, STEP)


class Stranger(Protocol):
    """What can be audited: it makes a trial of itself on the tables that it was given."""

    @property
    def learns(self) -> bool:
        """Whether it lists what it learned from, so that the gap law can be held against it."""
        ...

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """Its trial at some cutoffs."""
        ...


@dataclass(frozen=True, slots=True)
class ByCutoff:
    """`fn(frames, cutoff)` gives one row of features an entity, as of the cutoff."""

    fn: Callable[[Any, Any], Any]
    learns: bool = False

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """One call a cutoff; what the function returns is held against the call on truncated tables."""
        entity = named_entity(given.entity)
        shape = given.shapes[given.dated]

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            parts = []
            for cutoff in cutoffs:
                made = self.fn(given.frames(database), shape.said(cutoff))
                parts.append(stamped(by_entity(made, given.entity), cutoff))
            return built(pl.concat(parts, how="diagonal_relaxed"), entity)

        return trial_of(given, cutoffs, entity, build)


@dataclass(frozen=True, slots=True)
class ByRow:
    """`fn(frame)` gives features of each row: what stands in the row of time t must not change with rows after t.

    In the trial a row belongs to the first cutoff that is not before it, so that every row is compared once.
    """

    fn: Callable[[Any], Any]
    learns: bool = False

    def trial(self, given: Given, cutoffs: Sequence[Moment]) -> Trial:
        """One call on all tables, one on those truncated at each cutoff."""
        edges = sorted(ticks(cutoff) for cutoff in cutoffs)
        entity, _ = row_index(given)

        def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
            frames = given.frames(database)
            rows = per_row(self.fn(frames), given, database)
            return built(assigned(rows, cutoffs, edges), entity)

        return trial_of(given, cutoffs, entity, build)


def by_cutoff(fn: Callable[[Any, Any], Any]) -> ByCutoff:
    """A function `fn(frames, cutoff)` that gives a frame of features, one row an entity, as of the cutoff.

    frames: the tables by name, or the one frame where a single one was given; cutoff: as you gave it.
    """
    return ByCutoff(fn)


def by_row(fn: Callable[[Any], Any]) -> ByRow:
    """A function `fn(frame)` that gives features of every row: rolling means, scaled columns, out-of-sample predictions.

    Its result is a frame, a series or an array with one row for each that it was given, or has the columns of entity and
    time; a pandas result is matched by its index.
    """
    return ByRow(fn)


def stranger_of(build: Any) -> Stranger:
    """How to audit what was given: a function by the number of its arguments, an MLForecast by its `preprocess`."""
    if hasattr(build, "trial") and hasattr(build, "learns"):
        return build  # type: ignore[no-any-return]
    if hasattr(build, "preprocess") and hasattr(build, "predict"):
        from foreproof.engine.learners import mlforecast_rows

        return mlforecast_rows(build)
    if hasattr(build, "fit") and not inspect.isroutine(build):
        raise BadInput(
            "audit",
            found=f"a {type(build).__name__} without a target",
            wanted="what it learns",
            fix="learner(it, target=...)",
        )
    if not callable(build):
        raise BadInput("audit", found=f"a {type(build).__name__}", wanted="a function, a model, or an MLForecast")
    needed = [
        p for p in inspect.signature(build).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
    match len(needed):
        case 1:
            return by_row(build)
        case 2:
            return by_cutoff(build)
    raise BadInput(
        "audit",
        found=f"a function of {len(needed)} arguments",
        wanted="fn(frame), or fn(frames, cutoff)",
        fix="wrap it in a lambda",
    )


def trial_of(given: Given, cutoffs: Sequence[Moment], entity: tuple[str, ...], build: Build) -> Trial:
    """A trial with a stranger's build; the grid is days, or steps on a clock of integers."""
    grid = Grid("integer", unit="step") if isinstance(cutoffs[0], int) else parse_grid("1d")
    return Trial(given.database, tuple(cutoffs), entity, 1, 0, build, grid)


def built(rows: pl.DataFrame, entity: tuple[str, ...], forecast: Callable[[], Forecasts] | None = None) -> Built:
    """A `Built` of features alone: no labels, no forecasts unless they are given."""
    keys = [*entity, CUTOFF]
    ordered = rows.sort([*keys, STEP], maintain_order=True)
    return Built(
        entities=ordered.select(keys).unique(maintain_order=True),
        rows=ordered,
        labels=ordered.clear().select(*keys, STEP, pl.col(CUTOFF).alias("target"), pl.lit(0.0).alias("y")),
        forecast=forecast or (lambda: nothing(ordered, entity)),
    )


def nothing(rows: pl.DataFrame, entity: tuple[str, ...]) -> Forecasts:
    """No forecasts: empty frames of their types."""
    empty = rows.clear().select(
        *entity, CUTOFF, STEP, pl.lit(None, dtype=pl.Float64).alias(LEVEL), pl.lit(0.0).alias(VALUE)
    )
    clock = pl.col(CUTOFF)
    manifest = rows.clear().select(
        CUTOFF, clock.alias("example"), STEP, clock.alias("settled"), pl.lit("").alias("role")
    )
    return Forecasts(empty, empty, manifest)


def stamped(rows: pl.DataFrame, cutoff: Moment) -> pl.DataFrame:
    """Rows with `cutoff` and `step`."""
    return rows.with_columns(literal(cutoff).alias(CUTOFF), pl.lit(1, dtype=pl.Int64).alias(STEP))


def plain(made: Any, *, keys: Sequence[str], subject: str = "audit") -> pl.DataFrame:
    """What a function returned as polars: keys as text, features as numbers of seven digits or text.

    The index of a pandas result becomes columns where it is named. A name that the trial needs gets an underscore.
    """
    frame = _polars(made, subject=subject)
    columns = [_plain(column, name in keys, subject) for name, column in zip(frame.columns, frame, strict=True)]
    return pl.DataFrame(columns).rename(_free)


def per_row(made: Any, given: Given, database: Database, *, subject: str = "audit") -> pl.DataFrame:
    """One row for each row of the table: its index as text, `_ticks` of its time, features.

    made: what the function returned for `database`. A pandas result goes by its index, one with the columns of entity and
    time by these, anything else row by row.
    """
    shape, table = given.shapes[given.dated], database[given.dated]
    entity, time = row_index(given)
    source = shape.frame(table)
    raw = source if isinstance(source, pl.DataFrame) else _polars(source, subject=subject)
    keys = [*given.entity, time]
    if missing := [name for name in keys if name not in raw.columns]:
        raise BadInput(subject, found=f"no column {missing[0]}", wanted=f"one of {', '.join(raw.columns)}")
    ordered = pl.DataFrame({"_ticks": table.rows[HAPPENED].to_physical(), "_at": shape_times(given, database)})
    ordered = _sorted_like(shape.order, table.rows, ordered, time=shape.time)
    if (
        given.entity
        and all(name in getattr(made, "columns", ()) for name in keys)
        and raw.select(keys).is_unique().all()
    ):
        return _by_columns(made, raw.select(keys), ordered, entity)
    if not isinstance(made, pl.DataFrame | pl.Series) and hasattr(made, "index") and hasattr(source, "index"):
        made = made if hasattr(made, "columns") else made.to_frame(made.name if made.name is not None else "value")
        same = made.index.equals(source.index)
        alike = made.index.nlevels == source.index.nlevels and made.index.dtype == source.index.dtype
        if not same and not (alike and source.index.is_unique and made.index.isin(source.index).all()):
            return _by_columns(made, raw.select(keys), ordered, entity)
        place = list(range(len(source))) if same else source.index.get_indexer(made.index).tolist()
        features = plain(
            _polars(made.reset_index(drop=True), subject=subject).drop(keys, strict=False), keys=(), subject=subject
        )
        return _indexed(raw.select(keys)[place], ordered[place], features, entity)
    frame = _polars(made, subject=subject)
    if frame.height != raw.height:
        raise BadInput(
            subject,
            found=f"{frame.height} rows of features for {raw.height} rows",
            wanted="one for each, or the columns of entity and time",
            fix=f"return {', '.join(keys)} as well",
        )
    return _indexed(raw.select(keys), ordered, plain(frame.drop(keys, strict=False), keys=(), subject=subject), entity)


def row_index(given: Given) -> tuple[tuple[str, ...], str]:
    """The columns that name a row of a trial by row (entity, time, number among equals), and the time column."""
    time = given.shapes[given.dated].time
    return (*map(_free, (*given.entity, time)), NUMBER), time


def assigned(rows: pl.DataFrame, cutoffs: Sequence[Moment], edges: Sequence[int]) -> pl.DataFrame:
    """Rows of time in (edge before c, c] for each asked cutoff c."""
    parts = []
    for cutoff in cutoffs:
        at = bisect_left(edges, ticks(cutoff))
        inside = pl.col("_ticks") <= ticks(cutoff)
        if at:
            inside &= pl.col("_ticks") > edges[at - 1]
        parts.append(stamped(rows.filter(inside).drop("_ticks"), cutoff))
    return pl.concat(parts, how="vertical_relaxed")


def shape_times(given: Given, database: Database) -> pl.Series:
    """The time column of the dated table as text, in the order of its rows."""
    shape = given.shapes[given.dated]
    happened = database[given.dated].rows[HAPPENED]
    values = clock_values(happened, shape.dtypes[shape.time], shape.zone)
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.strftime(shape.text.replace(".%f", "%.6f"))
    return values.cast(pl.String) if happened.dtype == INSTANT else values.cast(pl.Int64).cast(pl.String)


def _sorted_like(order: Sequence[str], rows: pl.DataFrame, frame: pl.DataFrame, *, time: str) -> pl.DataFrame:
    """A frame beside the rows of a table, in the order in which its shape shows them."""
    if not order:
        return frame
    by = [rows[HAPPENED if name == time else name].alias(f"_by_{i}") for i, name in enumerate(order)]
    ordered = frame.with_columns(by).sort([column.name for column in by], maintain_order=True)
    return ordered.select(frame.columns)


def named_entity(entity: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of an entity as a trial calls them."""
    return tuple(map(_free, entity)) or (ALL,)


def _free(name: str) -> str:
    """A name that the trial does not need for itself."""
    return f"{name}_" if name in _TAKEN else name


def _indexed(named: pl.DataFrame, times: pl.DataFrame, features: pl.DataFrame, entity: tuple[str, ...]) -> pl.DataFrame:
    """Index columns as text, with the number of a row among those of the same entity and time.

    named: the columns of entity and time as they are called in the table; entity: as the trial calls them.
    """
    *keys, time, _ = entity
    texts = [named.to_series(i).cast(pl.String).alias(key) for i, key in enumerate(keys)]
    index = pl.DataFrame([*texts, times["_at"].alias(time), times["_ticks"]])
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over([*keys, time]).cast(pl.String).alias(NUMBER)
    clash = {name: f"{name}_" for name in features.columns if name in (*entity, "_ticks")}
    return pl.concat([index.with_columns(number), features.rename(clash)], how="horizontal")


def _by_columns(made: Any, named: pl.DataFrame, times: pl.DataFrame, entity: tuple[str, ...]) -> pl.DataFrame:
    """A result that names its rows itself, by entity and time. named, times: of the rows that were given."""
    frame, keys = _polars(made, subject="audit"), named.columns
    if missing := [name for name in keys if name not in frame.columns]:
        raise BadInput(
            "audit", found=f"rows that cannot be matched, without {missing[0]}", wanted=f"columns {', '.join(keys)}"
        )
    asked = frame.select(pl.col(name).cast(named.schema[name]) for name in keys)
    known = pl.concat([named, times], how="horizontal").unique(keys, keep="first", maintain_order=True)
    found = asked.join(known, on=keys, how="left", maintain_order="left")
    if found["_ticks"].null_count():
        first = found.filter(pl.col("_ticks").is_null()).row(0, named=True)
        raise BadInput("audit", found=f"a row that was not given: {first}", wanted="features of rows that were given")
    return _indexed(asked, found.select("_ticks", "_at"), plain(frame.drop(keys), keys=()), entity)


def by_entity(made: Any, entity: tuple[str, ...]) -> pl.DataFrame:
    """What a function returned of entities, with their columns as text."""
    frame = plain(made, keys=entity).drop(_free(CUTOFF), strict=False)
    if missing := [name for name in entity if _free(name) not in frame.columns]:
        raise BadInput(
            "audit",
            found=f"features without {missing[0]} ({', '.join(frame.columns)})",
            wanted="the columns that name an entity",
            fix="return them as columns or index, or leave entity out where there is one row",
        )
    return frame if entity else frame.with_columns(pl.int_range(1, pl.len() + 1).cast(pl.String).alias(ALL))


def _polars(made: Any, *, subject: str) -> pl.DataFrame:
    """A polars frame of what a function returned; a named pandas index becomes columns."""
    if isinstance(made, pl.LazyFrame):
        made = made.collect()
    if isinstance(made, pl.Series):
        return made.alias(made.name or "value").to_frame()
    if isinstance(made, pl.DataFrame):
        return made
    if type(made).__module__.split(".")[0] == "pandas":
        frame = made if hasattr(made, "columns") else made.to_frame(made.name if made.name is not None else "value")
        if any(name is not None for name in frame.index.names):
            keep = [name for name in frame.index.names if name is not None and name not in frame.columns]
            frame = frame.reset_index()[[*keep, *frame.columns]]
        elif frame.index.dtype.kind == "M":
            frame = frame.rename_axis("time").reset_index()
        else:
            frame = frame.reset_index(drop=True)
        frame.columns = ["_".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
        found: pl.DataFrame = pl.from_pandas(frame)
        return found
    if isinstance(made, Mapping):
        return pl.DataFrame(dict(made))
    if hasattr(made, "toarray"):
        made = made.toarray()
    if hasattr(made, "ndim") and made.ndim in (1, 2):
        wide = made.reshape(len(made), -1)
        return pl.DataFrame({f"x{i}": wide[:, i] for i in range(wide.shape[1])})
    raise BadInput(subject, found=f"a {type(made).__name__}", wanted="a polars or pandas frame, a series, or an array")


def _plain(column: pl.Series, key: bool, subject: str) -> pl.Series:
    if key:
        return column.cast(pl.String)
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).round_sig_figs(DIGITS)
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise BadInput(f"{subject}: {column.name}", found=f"{column.dtype}", wanted="numbers, flags, dates or text")
    return column.cast(pl.String)


__all__ = [
    "ALL",
    "DIGITS",
    "NUMBER",
    "ByCutoff",
    "ByRow",
    "Stranger",
    "assigned",
    "built",
    "by_cutoff",
    "by_entity",
    "by_row",
    "named_entity",
    "nothing",
    "per_row",
    "plain",
    "row_index",
    "shape_times",
    "stamped",
    "stranger_of",
    "trial_of",
]
