"""The files of a run's folder, whole or not at all, and their digests."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app.artefacts_pairs import PAIR_KEYS, pair_tables
from foreproof.app.stages import Work, cutoff_of
from foreproof.core.clock import time_column
from foreproof.core.digest import digest_bytes, digest_frame, digest_json
from foreproof.core.predict import CUTOFF, LEVEL, STEP
from foreproof.core.trial import Verdict

TABLE_KEYS: Mapping[str, tuple[str, ...]] = {
    "forecast": (CUTOFF, STEP, LEVEL),
    "cold": (),
    "history": ("at",),
    "features": (CUTOFF, STEP),
    "backtest": ("model", CUTOFF, STEP, LEVEL),
    "scores": ("model", "metric"),
    "scores_by_step": ("model", "metric", STEP),
    "scores_by_series": ("model", "metric"),
    "coverage": ("nominal",),
    "diagnosis_findings": ("place",),
    "diagnosis_whiteness": ("model", "order"),
    "diagnosis_mean_zero": ("model", "cluster"),
    "diagnosis_variance": ("model", STEP),
    "diagnosis_growth": ("model",),
    "diagnosis_parts": ("model", "dimension", "place", "group"),
    "diagnosis_pairs": ("model_a", "model_b"),
    "weights": (CUTOFF, "model"),
    "examples": (CUTOFF, "role", "example", STEP),
    "orders": (CUTOFF,),
    "order_ranking": (CUTOFF, "rank"),
    "order_window": (CUTOFF, LEVEL),
    "cost_curve": (CUTOFF, "order_up_to"),
    "voi": (CUTOFF,),
    "replay": (CUTOFF,),
    "replay_totals": (CUTOFF, "who"),
    "replay_stock": ("period",),
    "replay_stock_totals": ("who",),
    "verdicts": ("name",),
    "cleaning": ("table", "batch"),
}
"""Every table that a whole forecast writes, with what orders its rows beside the entity columns."""


def tables_of(work: Work) -> dict[str, pl.DataFrame]:
    """The tables that the finished stages made, sorted."""
    forecast = work.project.plan.workload == "forecast"
    found = {**_forecast(work), **_scores(work), **_decisions(work)} if forecast else pair_tables(work)
    if work.cleaning.height:
        found["cleaning"] = work.cleaning
    if work.verdicts:
        found["verdicts"] = verdict_table(work.verdicts)
    entity = work.project.science.task.entity
    return {name: frame.sort([c for c in _order(name, entity) if c in frame.columns]) for name, frame in found.items()}


def _order(name: str, entity: tuple[str, ...]) -> tuple[str, ...]:
    """What orders a table's rows; a list is read from the top."""
    keys = PAIR_KEYS.get(name) or TABLE_KEYS[name]
    return keys if name == "list" else (*entity, *keys)


def verdict_table(verdicts: tuple[Verdict, ...]) -> pl.DataFrame:
    """One row a check."""
    rows = [(v.name, v.outcome, v.figure, v.limit, v.words, v.control, v.control_caught) for v in verdicts]
    schema = {"name": pl.String, "outcome": pl.String, "figure": pl.Float64, "limit": pl.Float64, "words": pl.String}
    return pl.DataFrame(rows, schema={**schema, "control": pl.String, "control_caught": pl.Boolean}, orient="row")


def metrics_of(work: Work) -> dict[str, Any]:
    """The figures that people compare runs by."""
    metrics: dict[str, Any] = {}
    if work.scored is not None:
        metrics["scores"] = list(work.scored.overall.drop_nulls("value").iter_rows(named=True))
        if work.scored.against is not None:
            against = work.scored.against
            metrics["diebold_mariano"] = {
                "statistic": against.statistic,
                "p_less": against.p_less,
                "p_value": against.p_value,
                "days": against.n,
                "lags": against.lags,
            }
    if work.judged is not None:
        metrics["scores"] = list(work.judged.scores.iter_rows(named=True))
    if work.lists is not None:
        metrics["list_gain"] = list(work.lists.gain.iter_rows(named=True))
    if work.replayed is not None and work.replayed.saved is not None:
        saved = work.replayed.saved
        metrics["saving_per_order"] = {"estimate": saved.estimate, "low": saved.low, "high": saved.high}
    metrics["verdicts"] = {verdict.name: verdict.outcome for verdict in work.verdicts}
    found: dict[str, Any] = finite(metrics)
    return found


def finite(value: Any) -> Any:
    """The same plain values, None for a number that is not finite: JSON has no word for those."""
    match value:
        case dict():
            return {name: finite(item) for name, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def canonical_digests(work: Work, tables: Mapping[str, pl.DataFrame], metrics: Mapping[str, Any]) -> dict[str, str]:
    """What a repeat must reproduce: sorted Arrow of each table, model text, scores; no timing, path or stamp."""
    entity = work.project.science.task.entity
    found = {
        f"tables/{name}": digest_frame(frame, keys=[c for c in _order(name, entity) if c in frame.columns])
        for name, frame in tables.items()
    }
    found |= {path: digest_bytes(content) for path, content in models_of(work).items()}
    return {**found, "metrics": digest_json(dict(metrics))}


def models_of(work: Work) -> dict[str, bytes]:
    """The learned state of each member at the final cutoff, as text or Arrow files by path."""
    made: dict[Any, Mapping[str, pl.DataFrame]] = {c: one.dumps for c, one in work.served.items()}
    made |= {c: one.dumps for c, one in work.chances.items()}
    if work.cutoff is None or work.cutoff not in made:
        return {}
    dumps = made[work.cutoff]
    return {
        f"models/{model}/{name}": content
        for model, frame in sorted(dumps.items())
        for name, content in frame.iter_rows()
    }


def write_tables(tables: Mapping[str, pl.DataFrame], folder: Path) -> None:
    """Each table as CSV and Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
        frame.write_csv(folder / f"{name}.csv")


def write_json(value: Any, path: Path) -> None:
    """Canonical enough to read and to compare: sorted keys, two spaces."""
    path.write_text(json.dumps(finite(value), indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")


def digests_of(folder: Path, *, but: frozenset[str]) -> dict[str, str]:
    """sha256 of every file below the folder, by relative path, except the named ones."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: digest_bytes(path.read_bytes()) for name, path in named.items() if name not in but}


def _forecast(work: Work) -> dict[str, pl.DataFrame]:
    found: dict[str, pl.DataFrame] = {}
    task, cutoff = work.project.forecast.task, work.cutoff
    grid = task.series.grid
    if work.final is not None:
        found["features"] = work.final.rows
    if cutoff is None or work.database is None:
        return found
    history = task.panel(work.database).target(cutoff)
    at = time_column("at", grid.at(history["period"].to_numpy()), integer=grid.integer)
    found["history"] = history.with_columns(at).select(*task.entity, "at", "y")
    if work.built is not None:
        rows = work.served[cutoff].rows
        target = grid.shift(rows[CUTOFF].to_physical().to_numpy(), rows[STEP].to_numpy())
        found["forecast"] = rows.with_columns(time_column("at", target, integer=grid.integer))
        if work.served[cutoff].cold.height:
            found["cold"] = work.served[cutoff].cold
        found["examples"] = work.built.forecasts.manifest
        weights = [
            (c, model, weight) for c, served in work.served.items() for model, weight in sorted(served.weights.items())
        ]
        clock = pl.Int64() if grid.integer else pl.Datetime("us", "UTC")
        schema = {CUTOFF: clock, "model": pl.String(), "weight": pl.Float64()}
        found["weights"] = pl.DataFrame(weights, schema=schema, orient="row")
    return found


def _scores(work: Work) -> dict[str, pl.DataFrame]:
    if work.scored is None:
        return {}
    scored = work.scored
    return {
        "scores": scored.overall,
        "scores_by_step": scored.by_step,
        "scores_by_series": scored.by_series,
        "coverage": scored.coverage,
        "backtest": scored.judged,
        **_diagnosis(work),
    }


def _diagnosis(work: Work) -> dict[str, pl.DataFrame]:
    if work.diagnosis is None:
        return {}
    return {f"diagnosis_{part.name}": getattr(work.diagnosis, part.name) for part in fields(work.diagnosis)}


def _decisions(work: Work) -> dict[str, pl.DataFrame]:
    if work.decided is None or work.replayed is None:
        return {}
    replayed = work.replayed
    found = {
        "orders": work.decided.orders.rows,
        "order_ranking": work.decided.lots,
        "order_window": work.served[cutoff_of(work)].totals,
        "cost_curve": work.decided.curves,
        "voi": work.decided.worth,
        "replay": replayed.rows,
        "replay_totals": replayed.totals,
        "replay_stock": replayed.stock,
        "replay_stock_totals": replayed.stock_totals,
    }
    # What could not be judged has no columns, and no file.
    return {name: frame for name, frame in found.items() if frame.width}


__all__ = [
    "TABLE_KEYS",
    "canonical_digests",
    "digests_of",
    "finite",
    "metrics_of",
    "models_of",
    "tables_of",
    "verdict_table",
    "write_json",
    "write_tables",
]
