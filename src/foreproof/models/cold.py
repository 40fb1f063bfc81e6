"""Cold start: a series without a history gets its group's mean forecast, scaled by a static number.

How wide its intervals must be is asked of the known series: each is taken for new at past origins, forecast from the others
of its group, and shown what came. Every entity that is as new as they would be errs, at best, as they did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from foreproof.core.contract import Contract
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE, Prediction
from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError
from foreproof.models.offsets import conformal_quantile
from foreproof.models.panel import Floats, Ints

FEWEST_SERIES = 5
"""Known series below which a group speaks for nobody."""
_OFFSET = 0.1
"""What is added to both sides of a ratio, as a share of the forecast's mean over the steps: demand may be 0."""
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class ColdPlan:
    """Which entities to start and how: the table that lists them, its group columns (coarsest first), its size column ("" for
    none), and the steps of history below which a series is cold.
    """

    table: str
    groups: tuple[str, ...]
    size: str
    least: int


@dataclass(frozen=True, slots=True)
class Statics:
    """frame: entity columns, group columns (text) and, if `size` names one, a number above 0 a row; one row an entity."""

    frame: pl.DataFrame
    groups: tuple[str, ...] = ()
    size: str = ""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What the new entities get.

    points, quantiles: in the unit of the target. used: entity columns, `group` (`column=value` pairs, empty for all series),
    `known` (series that spoke for it), `scaled` (whether by its size). An entity that no group can speak for is in none.
    """

    points: Prediction
    quantiles: Prediction
    used: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Known:
    """N series: forecasts at the cutoff (N x H), at R origins (R x N x H, NaN where absent) and what came; groups, sizes."""

    now: Floats
    then: Floats
    came: Floats
    groups: tuple[tuple[str | None, ...], ...]
    sizes: Floats


@dataclass(frozen=True, slots=True)
class _Voice:
    """What a group says: forecast a unit of size (H), and the log ratios of each of its series taken for new, by step."""

    each: Floats
    errors: Sequence[Sequence[Floats]] = field(repr=False)
    known: int = 0


def cold_start(
    known: Prediction,
    past: pl.DataFrame,
    statics: Statics,
    *,
    new: pl.DataFrame,
    levels: Sequence[float],
    low: float = 0.0,
) -> ColdStart:
    """Points and quantiles of entities that have no history, or too little.

    known: points of the known series at one cutoff. past: entity columns, `cutoff`, `step`, `value`, `y`: their points at
    earlier origins that had settled, and what came. new: entity columns. low: no forecast lies below, at least 0.

    With f the forecasts and z the sizes (1 without any) over a group's series j, the point of i is z_i sum f_j / sum z_j.
    The group is that of all group columns; with fewer than 5 series the last column is dropped, until it is all series.
    Each series j is taken for new at each origin: p is its point from the others alone, and e = log((y + o) / (p + o)), where
    o is a tenth of p's mean over the steps. Quantiles are (p + o) exp(q) - o with q the quantile of e at its step,
    weighted 1 / (S + 1) a series as if S series of several origins and one new one were exchangeable: Lee, Barber &
    Willett, Distribution-free inference with hierarchical data (2023); Dunn, Wasserman & Ramdas (2022).
    """
    entity = list(known.entity)
    if not entity:
        raise BadInput("cold start", found="one series without entity columns", wanted="columns that name the series")
    table = _statics_of(statics, entity)
    facts = _known(known, past, table, depth=len(statics.groups))
    voices: dict[tuple[object, ...], _Voice | None] = {}
    steps = sorted(known.rows[STEP].unique().to_list())
    at = known.rows[CUTOFF].unique().to_list()
    points, quantiles, used = [], [], []
    for key in new.select(entity).unique().sort(entity).rows():
        group, size = table.get(key, ((None,) * len(statics.groups), np.nan))
        found = _speaker(facts, group, size, voices)
        if found is None:
            continue
        depth, scaled, voice = found
        point = np.maximum(voice.each * (size if scaled else 1.0), low)
        points += [(*key, at[0], step, None, float(v)) for step, v in zip(steps, point, strict=True)]
        for step, row in zip(steps, _quantiles(point, voice, levels, low), strict=True):
            quantiles += [(*key, at[0], step, level, float(v)) for level, v in zip(sorted(levels), row, strict=True)]
        words = ", ".join(f"{name}={word}" for name, word in zip(statics.groups[:depth], group, strict=False))
        used.append((*key, words, voice.known, scaled))
    schema = {name: known.rows.schema[name] for name in (*entity, CUTOFF, STEP, LEVEL, VALUE)}
    text = {name: known.rows.schema[name] for name in entity}
    return ColdStart(
        Prediction("point", known.entity, pl.DataFrame(points, schema=schema, orient="row")),
        Prediction("quantile", known.entity, pl.DataFrame(quantiles, schema=schema, orient="row")),
        pl.DataFrame(used, schema={**text, "group": pl.String, "known": pl.Int64, "scaled": pl.Boolean}, orient="row"),
    )


def _statics_of(statics: Statics, entity: Sequence[str]) -> dict[tuple[str, ...], tuple[tuple[str | None, ...], float]]:
    """By entity: its groups, and its size, NaN where it is missing or not above 0."""
    size = pl.col(statics.size).cast(pl.Float64) if statics.size else pl.lit(1.0)
    usable = pl.when((size > 0.0) & size.is_finite()).then(size).otherwise(None).fill_null(np.nan).alias("_size")
    frame = statics.frame.select(*entity, *(pl.col(name).cast(pl.String) for name in statics.groups), usable)
    if frame.select(entity).is_duplicated().any():
        raise BadInput("cold start: statics", found="two rows for one entity", wanted="one row an entity")
    many = len(entity)
    return {row[:many]: (row[many:-1], row[-1]) for row in frame.iter_rows()}


def _known(
    known: Prediction,
    past: pl.DataFrame,
    table: Mapping[tuple[str, ...], tuple[tuple[str | None, ...], float]],
    *,
    depth: int,
) -> _Known:
    entity = list(known.entity)
    now = known.rows.select(*entity, STEP, VALUE).sort(*entity, STEP)
    keys = now.select(entity).unique(maintain_order=True).rows()
    place = {key: i for i, key in enumerate(keys)}
    steps = {step: i for i, step in enumerate(sorted(now[STEP].unique().to_list()))}
    origins = {cutoff: i for i, cutoff in enumerate(past[CUTOFF].unique().sort().to_list())}
    here = np.full((len(keys), len(steps)), np.nan)
    for row in now.iter_rows():
        here[place[row[:-2]], steps[row[-2]]] = row[-1]
    then = np.full((len(origins), len(keys), len(steps)), np.nan)
    came = np.full_like(then, np.nan)
    for *key, cutoff, step, value, y in past.select(*entity, CUTOFF, STEP, VALUE, "y").iter_rows():
        i, s = place.get(tuple(key)), steps.get(step)
        if i is not None and s is not None and y is not None:
            then[origins[cutoff], i, s], came[origins[cutoff], i, s] = value, y
    nothing: tuple[tuple[str | None, ...], float] = ((None,) * depth, np.nan)
    told = [table.get(key, nothing) for key in keys]
    return _Known(here, then, came, tuple(group for group, _ in told), np.array([size for _, size in told]))


def _speaker(
    facts: _Known,
    group: tuple[str | None, ...],
    size: float,
    voices: dict[tuple[object, ...], _Voice | None],
) -> tuple[int, bool, _Voice] | None:
    """The finest group that has enough series, scaled by size if that can be; how many group columns it has; its voice."""
    for scaled in (True, False) if np.isfinite(size) else (False,):
        for depth in range(len(group), -1, -1):
            if None in group[:depth]:
                continue
            name = (group[:depth], scaled)
            if name not in voices:
                inside = [other[:depth] == group[:depth] for other in facts.groups]
                voices[name] = _voice(facts, np.flatnonzero(inside), scaled=scaled)
            voice = voices[name]
            if voice is not None:
                return depth, scaled, voice
    return None


def _voice(facts: _Known, which: Ints, *, scaled: bool) -> _Voice | None:
    """None where fewer than 5 series have a forecast, a size if it is asked for, and an error to learn from."""
    which = which[np.isfinite(facts.now[which]).all(axis=1)]
    sizes = facts.sizes[which] if scaled else np.ones(which.size)
    which, sizes = which[np.isfinite(sizes)], sizes[np.isfinite(sizes)]
    if which.size < FEWEST_SERIES:
        return None
    ratios = _taken_for_new(facts.then[:, which], facts.came[:, which], sizes)
    errors = [[each[np.isfinite(each)] for each in ratios[:, :, step].T] for step in range(ratios.shape[2])]
    errors = [[each for each in step if each.size] for step in errors]
    if min((len(step) for step in errors), default=0) < FEWEST_SERIES:
        return None
    return _Voice(facts.now[which].sum(axis=0) / sizes.sum(), errors, int(which.size))


def _taken_for_new(then: Floats, came: Floats, sizes: Floats) -> Floats:
    """R x N x H: log((y + o) / (p + o)), p the point of each series from the others; NaN where there are none."""
    there = np.isfinite(then)
    value, size = np.where(there, then, 0.0), np.where(there, sizes[None, :, None], 0.0)
    rest, weight = value.sum(axis=1, keepdims=True) - value, size.sum(axis=1, keepdims=True) - size
    others = there.sum(axis=1, keepdims=True) - there > 0
    usable = there & others & np.isfinite(came)
    point = np.divide(
        rest * sizes[None, :, None], weight, out=np.full_like(then, np.nan), where=usable & (weight > 0.0)
    )
    offset = _offset(point)
    above = np.maximum(came, 0.0) + offset
    ratio = np.divide(
        above, np.maximum(point, 0.0) + offset, out=np.full_like(then, np.nan), where=usable & (offset > 0.0)
    )
    logs: Floats = np.log(ratio, out=np.full_like(then, np.nan), where=np.isfinite(ratio) & (ratio > 0.0))
    return logs


def _offset(point: Floats) -> Floats:
    """A tenth of the mean point over the steps that are there, the last axis."""
    there = np.isfinite(point)
    count = np.maximum(there.sum(axis=-1, keepdims=True), 1)
    return np.asarray(_OFFSET * np.where(there, np.maximum(point, 0.0), 0.0).sum(axis=-1, keepdims=True) / count)


def _quantiles(point: Floats, voice: _Voice, levels: Sequence[float], low: float) -> Floats:
    """H x levels, rising along each row."""
    offset = float(_offset(point)[0])
    moved = [[hierarchical_quantile(step, level) for level in sorted(levels)] for step in voice.errors]
    values = np.maximum((point[:, None] + offset) * np.exp(np.array(moved)) - offset, low)
    rising: Floats = np.maximum.accumulate(values, axis=1)
    return rising


def hierarchical_quantile(errors: Sequence[Floats], level: float) -> float:
    """The quantile of the error of a new series, from the errors of S series, each with some.

    Above one half it is the smallest error with a weight up to it of at least level, where each series shares 1 / (S + 1)
    among its errors and the last 1 / (S + 1) lies at infinity; at one half the weighted median; below it is mirrored. Where
    no error is far enough out, it is the conformal quantile of the series' mean errors, and at least the outermost error.
    """
    if level < 0.5 - _SLACK:
        return -hierarchical_quantile([-each for each in errors], 1.0 - level)
    pooled = np.concatenate(errors)
    weights = np.concatenate([np.full(each.size, 1.0 / each.size) for each in errors])
    order = np.argsort(pooled, kind="stable")
    share = np.cumsum(weights[order])
    wanted = level * (len(errors) + 1.0) if level > 0.5 + _SLACK else 0.5 * len(errors)
    rank = int(np.searchsorted(share, wanted - _SLACK))
    if rank < pooled.size:
        return float(pooled[order[rank]])
    means = np.sort(np.array([each.mean() for each in errors]))
    return max(float(pooled.max()), conformal_quantile(means, level))


def parse_cold(
    section: Section, *, contracts: Sequence[Contract], entity: Sequence[str], low: float | None
) -> ColdPlan:
    """The section `cold_start`; its table must name every series, and the target must not be negative."""
    name = section.text("table")
    found = [contract for contract in contracts if contract.name == name]
    if not found:
        known = ", ".join(contract.name for contract in contracts)
        raise PlanError(f"{section.path}.table", found=repr(name), wanted=f"one of {known}")
    columns = {column.name: column for column in found[0].columns}
    groups, size = section.texts("group", default=()), section.text("size", default="")
    for column in (*entity, *groups, *([size] if size else [])):
        if column not in columns:
            raise PlanError(
                section.path, found=f"no column {column} in {name}", wanted="series.by, group and size as columns of it"
            )
    if not entity:
        raise PlanError(section.path, found="one series without series.by", wanted="columns that name the series")
    if size and columns[size].type not in ("decimal", "real", "integer"):
        raise PlanError(f"{section.path}.size", found=f"{size} of type {columns[size].type}", wanted="a number column")
    if low is None or low < 0.0:
        raise PlanError(
            section.path,
            found="a target that may be negative, so that no ratio says how wrong a forecast was",
            wanted="a target of at least 0",
            fix="set low: 0 for the value column, or leave cold_start out",
        )
    plan = ColdPlan(name, groups, size, section.whole("least", default=8, low=1))
    section.done()
    return plan


__all__ = ["FEWEST_SERIES", "ColdPlan", "ColdStart", "Statics", "cold_start", "hierarchical_quantile", "parse_cold"]
