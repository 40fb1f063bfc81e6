"""Which calibrator to trust: each is judged forward in time on settled cutoffs, and raw stands unless one beats it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF
from foreproof.core.score_binary import brier, calibration_mae
from foreproof.errors import BadInput
from foreproof.models.calibrate import CALIBRATORS, Calibrated, Calibrator, Raw, clipped
from foreproof.models.panel import Floats

P, Y, SETTLED_AT = "p", "y", "settled_at"
RAW = "raw"
FEWEST_CUTOFFS, FEWEST_POSITIVES = 3, 50
"""Settled cutoffs and positives below which nothing but raw is trusted."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The calibrator to use, fitted on all settled cutoffs, and why.

    table: `cutoff`, `calibrator`, `calibration_mae`, `brier`, `refused`, `why`: one row for each judged cutoff and
    calibrator, scores null where it could not be judged. summary: `calibrator`, `cutoffs` (judged), `calibration_mae`,
    `brier` (means over them), `chosen`, `refused`, `why`: one row a calibrator, raw first.
    """

    name: str
    calibrated: Calibrated
    why: str
    table: pl.DataFrame
    summary: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one cutoff, and those of the earlier cutoffs that had settled at it."""

    here: pl.DataFrame
    before: pl.DataFrame


def choose_calibrator(
    settled: pl.DataFrame, names: Sequence[str], *, calibrators: Mapping[str, Calibrator] | None = None
) -> Chosen:
    """The calibrator with the lowest mean calibration error forward in time; raw unless one beats it.

    settled: `cutoff` (instant or integer), `p`, `y` (0 or 1), one row a prediction whose label has settled; other columns
    are ignored. With `settled_at` (when the label settled, by `core.split.settles`) a cutoff is judged by what had settled
    at it, which matters wherever label windows overlap; without, all earlier cutoffs count as settled. names: of
    `calibrators` (all known ones if None); raw always takes part.

    For each cutoff k with settled ones before it: fit on those, score on k (`calibration_mae`, `brier`). A calibrator
    whose mean calibration error or mean Brier score over these cutoffs is worse than that of raw is refused (Brier too,
    since to say the base rate of everyone is calibrated and worthless), and so is one that cannot be fitted. With fewer
    than 3 settled cutoffs, 2 judged ones or 50 positives all but raw are refused. Raises BadInput for missing values.
    """
    known = CALIBRATORS if calibrators is None else calibrators
    unknown = [name for name in names if name not in known and name != RAW]
    if unknown:
        raise BadInput("calibrators", found=f"{unknown[0]!r}", wanted=f"some of {', '.join(known)}")
    rows = _checked(settled)
    ordered = list(dict.fromkeys([RAW, *names]))
    parts = _parts(rows)
    few = _too_few(rows, parts)
    table, faults = _judged(parts, [RAW] if few else ordered, known)
    means = {
        name: (float(np.mean(part["calibration_mae"].to_numpy())), float(np.mean(part["brier"].to_numpy())))
        for name in ordered
        if name not in faults and (part := table.filter(pl.col("calibrator") == name)).height
    }
    whys = {name: few or faults.get(name) or _worse(name, means, len(parts)) for name in ordered if name != RAW}
    fitted: dict[str, Calibrated] = {}
    for name in sorted((name for name in ordered if not whys.get(name)), key=lambda n: means.get(n, (0.0, 0.0))[0]):
        try:
            fitted[name] = (Raw() if name == RAW else known[name]).fit(*_arrays(rows))
        except BadInput as error:
            whys[name] = f"cannot be fitted on all settled cutoffs: {error}"
    name = next(iter(fitted))
    why = few or _why(name, means, whys, len(parts))
    return Chosen(name, fitted[name], why, *_reports(table, parts, ordered, means, {**whys, name: why}, name))


def _checked(settled: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in (CUTOFF, P, Y) if name not in settled.columns]
    if missing or not settled.height:
        found = f"no column {missing[0]}" if missing else "no rows"
        raise BadInput("settled", found=found, wanted="cutoff, p and y of settled predictions")
    if settled[CUTOFF].null_count():
        raise BadInput("settled", found=f"{settled[CUTOFF].null_count()} rows without a cutoff", wanted="one in each")
    brier(settled[Y].to_numpy(), settled[P].to_numpy())  # refuses what is missing, no outcome or no probability
    kept = [CUTOFF, P, Y, *([SETTLED_AT] if SETTLED_AT in settled.columns else [])]
    return settled.select(kept).sort(CUTOFF, P, Y)


def _parts(rows: pl.DataFrame) -> list[_Part]:
    """Every cutoff that has settled ones before it, in order of time."""
    found = []
    for at in rows[CUTOFF].unique().sort():
        ready = pl.col(SETTLED_AT) <= at if SETTLED_AT in rows.columns else pl.lit(True)
        before = rows.filter((pl.col(CUTOFF) < at) & ready)
        if before.height:
            found.append(_Part(rows.filter(pl.col(CUTOFF) == at), before))
    return found


def _too_few(rows: pl.DataFrame, parts: list[_Part]) -> str:
    """Why nothing but raw can be trusted, or nothing."""
    cutoffs, positives = rows[CUTOFF].n_unique(), int(rows[Y].sum())
    if cutoffs < FEWEST_CUTOFFS or len(parts) < FEWEST_CUTOFFS - 1:
        return (
            f"raw: {cutoffs} settled cutoffs, {len(parts)} of them with settled ones before; "
            f"a calibrator needs {FEWEST_CUTOFFS} and {FEWEST_CUTOFFS - 1}"
        )
    if positives < FEWEST_POSITIVES:
        return f"raw: {positives} positives in {cutoffs} settled cutoffs; a calibrator needs {FEWEST_POSITIVES}"
    return ""


def _judged(
    parts: list[_Part], names: Sequence[str], known: Mapping[str, Calibrator]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Scores by cutoff and calibrator, and why some could not be fitted."""
    found: list[tuple[object, str, float, float]] = []
    faults: dict[str, str] = {}
    for part in parts:
        at, (p, y, when) = part.here[CUTOFF][0], _arrays(part.here)
        for name in names:
            try:
                calibrated = (Raw() if name == RAW else known[name]).fit(*_arrays(part.before))
                given = calibrated(p, when)
            except BadInput as error:
                faults.setdefault(name, f"cannot be fitted before {at}: {error}")
                continue
            found.append((at, name, calibration_mae(y, given), brier(y, given)))
    clock = parts[0].here.schema[CUTOFF] if parts else pl.Int64()
    schema: dict[str, Any] = {
        CUTOFF: clock,
        "calibrator": pl.String,
        "calibration_mae": pl.Float64,
        "brier": pl.Float64,
    }
    return pl.DataFrame(found, schema=schema, orient="row"), faults


def _worse(name: str, means: Mapping[str, tuple[float, float]], judged: int) -> str:
    """Why a calibrator is refused, in figures, or nothing."""
    (mine, my_brier), (raw, raw_brier) = means[name], means[RAW]
    if mine > raw:
        return (
            f"refused: forward in time over {judged} cutoffs its calibration error is {100 * mine:.2f} points "
            f"on average, that of raw {100 * raw:.2f}"
        )
    if my_brier > raw_brier:
        return (
            f"refused: forward in time over {judged} cutoffs its Brier score is {my_brier:.6f}, that of raw "
            f"{raw_brier:.6f}, though its calibration error is {100 * mine:.2f} points against {100 * raw:.2f}"
        )
    return ""


def _why(name: str, means: Mapping[str, tuple[float, float]], whys: Mapping[str, str], judged: int) -> str:
    mine, raw = 100 * means[name][0], 100 * means[RAW][0]
    if name != RAW:
        return f"{name}: calibration error {mine:.2f} points forward in time over {judged} cutoffs, raw {raw:.2f}"
    refused = sum(bool(why) for why in whys.values())
    return (
        f"raw: calibration error {raw:.2f} points over {judged} cutoffs; {refused} calibrators refused, none is better"
    )


def _reports(
    table: pl.DataFrame,
    parts: list[_Part],
    ordered: Sequence[str],
    means: Mapping[str, tuple[float, float]],
    whys: Mapping[str, str],
    chosen: str,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table by cutoff and the summary."""
    nothing = (None, None)
    judged = dict(table.group_by("calibrator").len().rows())
    stays = [f"{name}: not refused, but {chosen} has the lower calibration error" for name in ordered]
    summary = pl.DataFrame(
        {
            "calibrator": ordered,
            "cutoffs": pl.Series([judged.get(name, 0) for name in ordered], dtype=pl.Int64),
            "calibration_mae": pl.Series([means.get(name, nothing)[0] for name in ordered], dtype=pl.Float64),
            "brier": pl.Series([means.get(name, nothing)[1] for name in ordered], dtype=pl.Float64),
            "chosen": [name == chosen for name in ordered],
            "refused": [name not in (RAW, chosen) and bool(whys.get(name)) for name in ordered],
            "why": [whys.get(name) or stay for name, stay in zip(ordered, stays, strict=True)],
        }
    )
    cells = pl.DataFrame(
        [(part.here[CUTOFF][0], name) for part in parts for name in ordered],
        schema={CUTOFF: table.schema[CUTOFF], "calibrator": pl.String},
        orient="row",
    )
    cells = cells.join(table, on=[CUTOFF, "calibrator"], how="left", maintain_order="left")
    told = summary.select("calibrator", "refused", "why")
    return cells.join(told, on="calibrator", how="left", maintain_order="left"), summary


def _arrays(rows: pl.DataFrame) -> tuple[Floats, Floats, pl.Series]:
    return clipped(rows[P].to_numpy()), rows[Y].cast(pl.Float64).to_numpy(), rows[CUTOFF]


__all__ = ["Chosen", "choose_calibrator"]
