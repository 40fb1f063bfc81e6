"""A ridge probe in closed form: what the rows of a pipeline say about their labels, forward in time.

Not the pipeline's model: a plain one with little variance, so that scores of two builds differ by what the rows know and not by
the luck of a fit. Features and labels are centred within each cutoff (and step), so nothing is earned by knowing the season;
a quantity is also taken from its series' early mean and scaled by its spread, so nothing is earned by knowing who is large.
A null becomes the mean, beside a column that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.core.clock import Moment, Ticks, tick_values, ticks
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.split import settled, settles
from foreproof.core.trial import Kind, Trial
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput
from foreproof.gauntlet.scored import Floats, Ints, Score, scored

MOST = 40_000
"""Rows that a probe takes; of more, whole entities are drawn."""
LIGHT = 24_000
"""Rows of a trial whose pipeline is built again and again."""
Y = "y"
_RIDGE = 0.02
FEWEST_ENTITIES = 10
"""Entities that a score must rest on, so that draws of whole ones say how sure it is."""
_FEWEST_ROWS = 40
_FEWEST_HITS = 5
_WITHIN = 8


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """n labelled rows of one build.

    index: entity columns, `cutoff`, `step`. x: n x k, standardised. owner: k names, the feature that each column comes from.
    y: n, 0 and 1 or centred and scaled. entity: n codes below `entities`, of the first entity column. stratum: n codes of cutoff
    and step. time: n codes of `cutoffs` (ticks, rising). settled: n ticks. whole: rows before entities were drawn.
    """

    index: pl.DataFrame
    x: Floats
    owner: tuple[str, ...]
    y: Floats
    entity: Ints
    entities: int
    stratum: Ints
    time: Ints
    cutoffs: Ticks
    settled: Ticks
    kind: Kind
    whole: int

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in order."""
        return tuple(dict.fromkeys(self.owner))

    def columns(self, *names: str) -> Panel:
        """The same rows with these features only."""
        kept = np.array([owner in names for owner in self.owner])
        return replace(self, x=self.x[:, kept], owner=tuple(owner for owner in self.owner if owner in names))

    def columns_of(self) -> list[tuple[str, int]]:
        """Each column as its feature and its place among that feature's columns (0 the value, 1 whether it is missing)."""
        return [(name, sum(1 for other in self.owner[:k] if other == name)) for k, name in enumerate(self.owner)]

    def with_columns_of(self, wanted: Sequence[tuple[str, int]]) -> Panel:
        """The same rows with exactly these columns, in this order, zeros where there is none."""
        places = {column: k for k, column in enumerate(self.columns_of())}
        nothing = np.zeros(self.y.size)
        x = [self.x[:, places[column]] if column in places else nothing for column in wanted]
        return replace(self, x=np.column_stack(x), owner=tuple(name for name, _ in wanted))

    def score(self, said: Floats, rows: Ints | None = None) -> Score:
        """The score of what was said of each row (NaN: nothing), of those `rows` only."""
        told = np.isfinite(said)
        if rows is not None:
            chosen = np.zeros(told.size, dtype=bool)
            chosen[rows] = True
            told &= chosen
        return scored(
            self.kind,
            self.y[told],
            said[told],
            entity=self.entity[told],
            stratum=self.stratum[told],
            entities=self.entities,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows to learn from and rows to score, as places."""

    train: Ints
    test: Ints


def lighter(trial: Trial, *, most: int = LIGHT) -> Trial:
    """The trial on the facts of as many whole entities as `most` rows hold, for checks that build many times.

    Tables with the first entity column keep the rows of these entities; all others stay whole. What a feature knows of other
    entities is then of the drawn ones, alike in every build that is compared.
    """
    first = trial.entity[0]

    def make() -> Database:
        rows = trial.run().rows
        if rows.height <= most:
            return trial.database
        kept = drawn(rows.select(first), first, most=most, seed=trial.seed)[first].unique().implode()
        few = {
            name: Table(table.contract, table.rows.filter(pl.col(first).is_in(kept)))
            for name, table in trial.database.tables.items()
            if first in table.rows.columns
        }
        return Database({**trial.database.tables, **few})

    # A planted fault meets the entities that were drawn for the honest trial: its own rows need not be made for that.
    light = trial.altered(f"entities of {most} rows", None, make)
    return trial if light is trial.database else replace(trial, database=light, cuts=None)


def cutoffs_of(trial: Trial) -> tuple[Moment, ...]:
    """The trial's cutoffs, with earlier ones where none of them had settled at the others and the pipeline can build them."""
    line = sorted(trial.cutoffs, key=ticks)
    grid = trial.grid
    ready = [t for t in line if settled(grid, line[0], trial.horizon, delay=trial.delay, at=t)]
    if 2 * len(ready) >= len(line):
        return tuple(line)
    places = grid.index(np.array([ticks(t) for t in line], dtype=np.int64))
    stride = max(1, int(np.diff(places).min())) if len(line) > 1 else trial.horizon
    count = -(-trial.horizon // stride) + 1
    for earlier in range(count, 0, -1):
        try:
            before = [grid.add(line[0], -k * stride) for k in range(earlier, 0, -1)]
            trial.build(trial.database, tuple(before), trial.seed)
        except BadInput:
            continue
        return (*before, *line)
    return tuple(line)


def frame_of(trial: Trial, *, cutoffs: Sequence[Moment] | None = None) -> pl.DataFrame:
    """Entity columns, `cutoff`, `step`, features, `y`: every labelled row at the cutoffs, sorted by its index."""
    built = trial.build(trial.database, tuple(cutoffs or cutoffs_of(trial)), trial.seed)
    return labelled(built.rows, built.labels, trial.entity)


def labelled(rows: pl.DataFrame, labels: pl.DataFrame, entity: Sequence[str]) -> pl.DataFrame:
    """Rows that have a label, with it as `y`; one that comes twice counts once, and is for `duplicates` to find."""
    index = [*entity, CUTOFF, STEP]
    truth = labels.select(*index, pl.col(Y).cast(pl.Float64).alias("_y")).filter(pl.col("_y").is_finite())
    rows, truth = (frame.unique(index, keep="first", maintain_order=True) for frame in (rows, truth))
    kept = rows.drop(Y, strict=False).join(truth, on=index, how="inner").rename({"_y": Y})
    return kept.sort(index)


def panel_of(trial: Trial, frame: pl.DataFrame | None = None, *, most: int = MOST, level: bool = False) -> Panel:
    """The probe's rows of a labelled frame. Raises BadInput for fewer than 10 entities or labels that are all alike.

    level: keeps who is large in a quantity, for a question about signal and not about leaks.
    """
    frame = frame_of(trial) if frame is None else frame
    first = trial.entity[0]
    index = [*trial.entity, CUTOFF, STEP]
    whole = frame.height
    frame = drawn(frame, first, most=most, seed=trial.seed)
    entities = frame[first].n_unique() if frame.height else 0
    if entities < FEWEST_ENTITIES:
        raise BadInput(
            "probe", found=f"{entities} entities with a label", wanted=f"at least {FEWEST_ENTITIES}, to be drawn whole"
        )
    at, time = np.unique(tick_values(frame[CUTOFF]), return_inverse=True)
    stratum = _codes(frame, [CUTOFF, STEP])
    series = _codes(frame, list(trial.entity))
    within = trial.kind == "quantity" and not level and frame.height >= _WITHIN * (int(series.max()) + 1)
    early = time < (at.size + 1) // 2
    y = frame[Y].to_numpy().astype(np.float64)
    if trial.kind == "quantity":
        y = np.clip(_within(y, series, early), -6.0, 6.0) if within else _standard(_tamed(y), np.zeros_like(series))
        y = _standard(y, stratum, scale=False)
    columns, owner = [], []
    for name in (name for name in frame.columns if name not in (*index, Y)):
        for column in _numbers(frame[name]):
            value = np.clip(_within(column, series, early), -6.0, 6.0) if within else _tamed(column)
            centred = _standard(value, stratum, scale=False)
            spread = float(centred.std())
            if spread > 1e-9:
                columns.append(centred / spread)
                owner.append(name)
    x = np.column_stack(columns) if columns else np.zeros((frame.height, 0))
    return Panel(
        index=frame.select(index),
        x=x,
        owner=tuple(owner),
        y=y,
        entity=_codes(frame, [first]),
        entities=entities,
        stratum=stratum,
        time=time.astype(np.int64),
        cutoffs=at,
        settled=settles(
            trial.grid, tick_values(frame[CUTOFF]), frame[STEP].to_numpy().astype(np.int64), delay=trial.delay
        ),
        kind=trial.kind,
        whole=whole,
    )


def drawn(frame: pl.DataFrame, entity: str, *, most: int, seed: int) -> pl.DataFrame:
    """All rows of as many whole entities as `most` rows hold."""
    if frame.height <= most:
        return frame
    names = frame[entity].unique().sort()
    count = max(FEWEST_ENTITIES, names.len() * most // frame.height)
    places = np.sort(np.random.default_rng(seed).permutation(names.len())[:count])
    return frame.filter(pl.col(entity).is_in(names.gather(places).implode()))


def forward_folds(panel: Panel) -> list[Fold]:
    """For each cutoff the rows whose labels had settled there, and its own rows.

    Raises BadInput where no cutoff has enough before it.
    """
    found = []
    for code, cutoff in enumerate(panel.cutoffs):
        fold = Fold(np.flatnonzero(panel.settled <= cutoff), np.flatnonzero(panel.time == code))
        if _enough(panel, fold.train):
            found.append(fold)
    if not found:
        raise BadInput(
            "probe",
            found=f"{panel.cutoffs.size} cutoffs, none with {_FEWEST_ROWS} labels settled before it",
            wanted="two cutoffs a horizon apart",
            fix="judge more origins",
        )
    return found


def mixed_folds(panel: Panel, folds: Sequence[Fold], *, count: int = 5, seed: int) -> list[Fold]:
    """The rows scored by `folds` in random parts of whole entities, each learned from other entities' rows of all cutoffs.

    At most as many rows as the fold forward in time had: a difference is then one of when they are from, neither of how many
    there are nor of the entity itself, whose labels of neighbouring cutoffs may overlap.
    """
    rng = np.random.default_rng(seed)
    part = rng.integers(count, size=panel.entities)[panel.entity]
    found = []
    for fold in folds:
        for k in range(count):
            test, train = fold.test[part[fold.test] == k], np.flatnonzero(part != k)
            if test.size and train.size:
                found.append(Fold(np.sort(rng.permutation(train)[: fold.train.size]), test))
    return found


def coefficients(panel: Panel, train: Ints, y: Floats) -> Floats:
    """(X'X / n + r I)^-1 X'y / n on the rows `train`; y is n or n x P over all rows of the panel."""
    x = panel.x[train]
    # A label is centred by the probe's own rows only as far as they are there: a fold has a mean of its own.
    target = y[train] - y[train].mean(axis=0)
    gram = x.T @ x / train.size + _RIDGE * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram, x.T @ target / train.size))


def told(panel: Panel, folds: Sequence[Fold], *, learned: Panel | None = None) -> Floats:
    """What the probe says of each of n rows, NaN where it is not scored.

    learned: the panel to fit on, of the same rows and columns: what it learned is then applied to this one.
    """
    said = np.full(panel.y.size, np.nan)
    source = panel if learned is None else learned
    y = _standard(source.y, source.stratum, scale=False)
    for fold in folds:
        said[fold.test] = panel.x[fold.test] @ coefficients(source, fold.train, y)
    return said


def forward(panel: Panel) -> Score:
    """The score of the probe, forward in time."""
    return panel.score(told(panel, forward_folds(panel)))


def alone(panel: Panel) -> Iterator[tuple[str, Score]]:
    """Each feature by itself, forward in time."""
    folds = forward_folds(panel)
    for name in panel.names:
        one = panel.columns(name)
        yield name, one.score(told(one, folds))


def _enough(panel: Panel, train: Ints) -> bool:
    if train.size < _FEWEST_ROWS:
        return False
    hits = panel.y[train].sum()
    return panel.kind == "quantity" or _FEWEST_HITS <= hits <= train.size - _FEWEST_HITS


def _codes(frame: pl.DataFrame, columns: list[str]) -> Ints:
    """N codes from 0 in the order of the values."""
    codes = np.zeros(frame.height, dtype=np.int64)
    for name in columns:
        column = frame[name].rank("dense").to_numpy().astype(np.int64) - 1
        codes = codes * (int(column.max()) + 1) + column
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _numbers(column: pl.Series) -> Iterator[Floats]:
    """A feature as numbers, nulls as the mean; where some are missing, a flag too. Words count by how frequent they are."""
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        column = pl.DataFrame({"c": column}).select(pl.len().over("c").cast(pl.Float64))["len"]
    values = column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        return
    yield np.where(known, values, values[known].mean())
    if not known.all():
        yield (~known).astype(np.float64)


def _tamed(values: Floats) -> Floats:
    """Asinh of the distance from the median in mean absolute deviations: a long tail does not rule."""
    centred = values - np.median(values)
    scale = float(np.abs(centred).mean())
    return np.asarray(np.arcsinh(centred / scale)) if scale > 0.0 else centred


def _within(values: Floats, series: Ints, early: npt.NDArray[np.bool_]) -> Floats:
    """Less the series' mean over the early rows, over its spread: the mean of later rows would tell early ones of them."""
    count = np.bincount(series, weights=early)
    mean = np.bincount(series, weights=np.where(early, values, 0.0)) / np.maximum(count, 1.0)
    size = np.maximum(np.bincount(series), 1)
    spread = np.sqrt(np.bincount(series, weights=_standard(values, series, scale=False) ** 2) / size)
    floor = 1e-9 * (1.0 + float(np.abs(values).max(initial=0.0)))
    return (values - mean[series]) / np.where(spread > floor, spread, np.inf)[series]


def _standard(values: Floats, group: Ints, *, scale: bool = True) -> Floats:
    """Less the mean of its group, over the group's spread where it has one."""
    size = np.maximum(np.bincount(group), 1)
    centred = values - (np.bincount(group, weights=values) / size)[group]
    if not scale:
        return centred
    spread = np.sqrt(np.bincount(group, weights=centred * centred) / size)
    # A spread of rounding errors only is none.
    floor = 1e-9 * (1.0 + float(np.abs(values).max(initial=0.0)))
    return centred / np.where(spread > floor, spread, np.inf)[group]


__all__ = [
    "LIGHT",
    "MOST",
    "Fold",
    "Panel",
    "alone",
    "coefficients",
    "cutoffs_of",
    "drawn",
    "forward",
    "forward_folds",
    "frame_of",
    "labelled",
    "lighter",
    "mixed_folds",
    "panel_of",
    "told",
]
