"""For test suites: a function that must not know the future, and a split that must not learn from it.

`assert_causal(features, frame, time="day", entity="sku")` cuts the frame at several moments, calls the function again, and
fails with the feature, the first row, and the date from which it knew. With pytest, the fixtures of the same names take their
cutoffs from the option `foreproof_cutoffs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from foreproof.core.clock import moment, ticks
from foreproof.core.predict import CUTOFF
from foreproof.core.trial import proven
from foreproof.engine.audit import audit
from foreproof.engine.frames import Given, given
from foreproof.engine.learners import own_moment
from foreproof.engine.splits import splits_of
from foreproof.gauntlet import GapLaw, Rebuild


def assert_causal(
    fn: Any,
    frame: Any,
    *,
    time: str = "",
    entity: str | Sequence[str] = (),
    cutoffs: Sequence[Any] | None = None,
) -> None:
    """Raise AssertionError where a feature changes when rows that came later are taken away.

    fn: whatever `foreproof.audit` takes: `fn(frame)` with features by row, `fn(frames, cutoff)` with features by entity, a
    `learner`, an MLForecast. frame: polars or pandas, or frames by name. time, entity, cutoffs: as in `foreproof.audit`.
    Needs no tolerance and no model. A planted fault is run beside it; where that goes unseen, the assertion fails too.
    """
    report = audit(fn, frame, cutoffs, time=time, entity=entity, checks=(Rebuild(),))
    if not report.ok:
        raise AssertionError("\n".join(one.words for one in report.found) or report.text)


def assert_causal_split(
    splitter: Any,
    frame: Any,
    *,
    time: str = "",
    entity: str | Sequence[str] = (),
    horizon: str | int = 0,
    apart: bool = False,
) -> None:
    """Raise AssertionError where a training row's label had not settled when the first test row was predicted.

    splitter: has `split(frame)`, as those of scikit-learn do, or is a function that gives training and test rows (frames,
    positions or masks), or many such pairs. horizon: the label of a row of time t is settled at t + horizon; 0 for a label of
    its own moment, which has to lie before every test row. apart: whether an entity may not be on both sides.
    """
    facts = given(frame, time=time, entity=entity)
    splits = splits_of(splitter, horizon=horizon)
    sides = splits.sides(facts)
    kept = iter([[(side.train, side.test) for side in sides]])
    trial = splits_of(lambda _: next(kept), horizon=horizon).trial(facts, ())
    verdict = proven(GapLaw(), trial)
    if verdict.outcome != "passed":
        raise AssertionError(_told(facts, trial.run().forecasts.manifest, horizon) or verdict.words)
    if apart:
        _refuse_shared(facts, sides)


def _told(facts: Given, manifest: pl.DataFrame, horizon: str | int) -> str:
    """The first split that learns from what comes later, in words."""
    late = manifest.filter(pl.col("settled") > pl.col(CUTOFF)).sort(CUTOFF, "settled")
    if late.is_empty():
        return ""
    served, settled = late[CUTOFF][0], late.filter(pl.col(CUTOFF) == late[CUTOFF][0])["settled"]
    first = moment(ticks(served) + own_moment(horizon), integer=isinstance(served, int))
    return (
        f"split: the labels of {late.height} training moments had not settled at the first test row; the first split is judged "
        f"from {facts.words(first)} on and learns from labels that settle up to {facts.words(settled[-1])}"
    )


def _refuse_shared(facts: Given, sides: Sequence[Any]) -> None:
    """An entity may stand on one side only."""
    if not facts.entity:
        raise AssertionError("split: apart=True needs the columns of the entity")
    frame = facts.frames(facts.database)
    names = [list(map(str, frame[name])) for name in facts.entity]
    keys = list(zip(*names, strict=True))
    for side in sides:
        both = {keys[i] for i in side.train} & {keys[i] for i in side.test}
        if both:
            first = ", ".join(min(both))
            raise AssertionError(f"split: {len(both)} entities are in training and test (first: {first})")


__all__ = ["assert_causal", "assert_causal_split"]
