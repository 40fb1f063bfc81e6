"""`Blend`: classifiers fitted side by side, and their weights from the last cutoffs that had settled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from foreproof.core.clock import literal, tick_values, ticks
from foreproof.core.digest import canonical_json
from foreproof.core.model import Explains, Fitted, Model, Now, Past
from foreproof.core.predict import CUTOFF, LEVEL, VALUE, Prediction
from foreproof.core.split import settles
from foreproof.errors import BadInput
from foreproof.models.binary_rows import BASE, probabilities
from foreproof.models.blend import BlendWeights, Scale, blend, equal_blend, learn_blend
from foreproof.models.calibrate import clipped
from foreproof.models.rows import LABEL, index_of, served_rows


@dataclass(frozen=True, slots=True)
class Blend:
    """Members and their weights.

    weights: given, as `learn_blend` finds them; or None, and fit learns them forward in time: at each of the last `judged`
    cutoffs of the rows, members are fitted on the rows whose labels had settled at it (the gap law, over the frame's
    horizon) and predict it. Cutoffs before which a member has too little to learn from are passed over; without any,
    weights are equal. segment: a feature column whose values have weights of their own. See `blend.learn_blend` for scale
    and shrinkage.
    """

    members: tuple[Model, ...]
    name: str = "blend"
    scale: Scale = "logit"
    segment: str = ""
    judged: int = 3
    half: float = 50.0
    weights: BlendWeights | None = None

    @property
    def reads_rows(self) -> bool:
        """Whether a member reads rows of features."""
        return any(member.reads_rows for member in self.members)

    def fit(self, past: Past, *, seed: int) -> FittedBlend:
        """Every member on all rows, and the weights; BadInput as the members say."""
        rows = past.make_rows()
        one = Past(past.frame, past.cutoff, past.target, lambda: rows)
        names = [member.name for member in self.members]
        if not names or len(set(names)) < len(names):
            raise BadInput(
                f"model {self.name}", found=f"members {names}", wanted="at least one, each with its own name"
            )
        if self.weights is not None and list(self.weights.members) != names:
            raise BadInput(f"model {self.name}", found=f"weights of {list(self.weights.members)}", wanted=f"of {names}")
        fitted = tuple(member.fit(one, seed=seed) for member in self.members)
        return FittedBlend(self, fitted, self.weights or self._learned(one, seed))

    def _learned(self, past: Past, seed: int) -> BlendWeights:
        found = stacked(self.members, past, judged=self.judged, seed=seed, segment=self.segment)
        names = [member.name for member in self.members]
        if not found.height:
            return equal_blend(names, scale=self.scale)
        return learn_blend(found, names, scale=self.scale, segment=self.segment, half=self.half)


@dataclass(frozen=True, slots=True)
class FittedBlend:
    """The fitted members in the order of the weights."""

    model: Blend
    members: tuple[Fitted, ...]
    weights: BlendWeights

    def predict(self, now: Now) -> Prediction:
        """The blend of the members' probabilities for each row."""
        rows = served_rows(now)
        one = Now(now.frame, now.cutoff, now.target, lambda: rows)
        table = _side_by_side(self.members, self.model.members, one, rows, self.weights.segment)
        return probabilities(now, rows, blend(table, self.weights))

    def contributions(self, now: Now) -> pl.DataFrame:
        """The members' contributions to the log odds, weighted; only on the scale `logit`, where a blend is a sum.

        Raises BadInput on the scale `percentile`, for weights by segment, and where a member has no contributions.
        """
        if self.weights.scale != "logit" or self.weights.segment:
            raise BadInput(
                f"model {self.model.name}",
                found=f"scale {self.weights.scale}, segment {self.weights.segment!r}",
                wanted="the scale logit and no segment for contributions",
                fix="ask the members one by one",
            )
        rows = served_rows(now)
        one, index = Now(now.frame, now.cutoff, now.target, lambda: rows), index_of(now.frame)
        total = rows.select(index)
        for model, fitted, weight in zip(self.model.members, self.members, self.weights.weights, strict=True):
            if not isinstance(fitted, Explains):
                raise BadInput(f"model {model.name}", found="no contributions", wanted="a model that explains itself")
            part = fitted.contributions(one)
            for name in (name for name in part.columns if name not in index):
                before = total[name] if name in total.columns else 0.0
                total = total.with_columns((before + weight * part[name]).alias(name))
        return total.select(*index, *sorted(set(total.columns) - {*index, BASE}), BASE)

    def dump(self) -> Mapping[str, bytes]:
        """The weights as JSON, and what each member learned, under `NAME.MEMBER.`."""
        name = self.model.name
        files = {f"{name}.json": canonical_json(self.weights.as_dict())}
        for fitted in self.members:
            files |= {f"{name}.{inner}": content for inner, content in fitted.dump().items()}
        return files


def stacked(members: tuple[Model, ...], past: Past, *, judged: int, seed: int, segment: str = "") -> pl.DataFrame:
    """What members say at the last `judged` settled cutoffs after learning from what had settled before each.

    Entity columns, cutoff, step, a column of probabilities for each member, `segment` if named, `y`; no rows where no cutoff
    has enough before it. past: its rows must have settled at its cutoff, as `Past.make_rows` promises.
    """
    rows, frame = past.make_rows().sort(index_of(past.frame)), past.frame
    cutoffs = rows[CUTOFF].unique().sort()
    settled_at = settles(frame.grid, tick_values(cutoffs), frame.horizon, delay=frame.delay)
    parts = []
    for at in cutoffs.to_list()[-judged:] if judged else []:
        ready = cutoffs.filter(pl.Series(settled_at <= ticks(at)))
        before = rows.filter(pl.col(CUTOFF).is_in(ready.implode()))
        here = rows.filter(pl.col(CUTOFF) == literal(at))
        # Members of rows have no use for the target, and this one reaches beyond the cutoff.
        then = Past(frame, at, past.target.clear(), lambda before=before: before)  # type: ignore[misc]
        now = Now(frame, at, past.target.clear(), lambda here=here: here.drop(LABEL))  # type: ignore[misc]
        try:
            fitted = tuple(member.fit(then, seed=seed) for member in members)
        except BadInput:
            continue
        table = _side_by_side(fitted, members, now, here, segment)
        parts.append(table.with_columns(here[LABEL].cast(pl.Float64).alias("y")))
    return pl.concat(parts) if parts else pl.DataFrame()


def _side_by_side(
    fitted: tuple[Fitted, ...], members: tuple[Model, ...], now: Now, rows: pl.DataFrame, segment: str
) -> pl.DataFrame:
    """Index, segment, and a column of probabilities for each member, in the order of the rows."""
    index = index_of(now.frame)
    if segment and segment not in rows.columns:
        raise BadInput("rows", found=f"no column {segment}", wanted="the segment of the blend", fix="declare it")
    table = rows.select(*index, *([segment] if segment else []))
    for model, each in zip(members, fitted, strict=True):
        said = each.predict(now).rows.drop(LEVEL).rename({VALUE: model.name})
        table = table.join(said, on=index, how="left", maintain_order="left")
        table = table.with_columns(pl.Series(model.name, clipped(table[model.name].to_numpy()), dtype=pl.Float64))
    return table


def weights_in(files: Mapping[str, bytes], name: str) -> dict[str, object]:
    """The dumped weights of a blend, as plain values."""
    found: dict[str, object] = json.loads(files[f"{name}.json"])
    return found


__all__ = ["Blend", "FittedBlend", "stacked", "weights_in"]
