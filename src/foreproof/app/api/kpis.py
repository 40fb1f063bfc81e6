"""The few figures of a published run that its project is judged by at a glance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from foreproof.app.api.published import Published
from foreproof.app.api.series import plan_of
from foreproof.core.predict import CUTOFF, LEVEL, VALUE
from foreproof.core.units import per_total

Figure = dict[str, Any]
_OURS = {"forecast": "combination", "propensity": "foreproof"}


def kpis_of(published: Published) -> list[Figure]:
    """`name`, `value`, `unit`, `words` of each."""
    return _forecast(published) if published.workload == "forecast" else _pairs(published)


def size_of(published: Published) -> int:
    """How many series, or pairs, are predicted at the run's cutoff."""
    rows = published.table("forecast" if published.workload == "forecast" else "chances")
    rows = rows.filter(pl.col(CUTOFF) == pl.col(CUTOFF).max())
    entity = rows.columns[: rows.columns.index(CUTOFF)]
    return rows.select(entity).n_unique() if entity else 1


def _forecast(published: Published) -> list[Figure]:
    plan, scores = plan_of(published), _scores(published)
    rows = published.table("forecast")
    series = plan["series"]
    column = plan["tables"][series["table"]]["columns"][series["value"]]
    unit = str(column.get("unit", series["value"])) if isinstance(column, Mapping) else str(series["value"])
    total = float(rows.filter(pl.col(LEVEL).is_null())[VALUE].sum())
    found = [
        _figure(
            "expected", total, per_total(unit), f"the mean forecast of all series over all {plan['horizon']} steps"
        ),
        _figure("WAPE", scores.get("wape"), "share", "absolute error at past origins over what came"),
        _figure("MASE", scores.get("mase"), "ratio", "error at past origins over that of a seasonal naive forecast"),
        _figure("coverage", scores.get("coverage80"), "share", "outcomes at past origins inside the interval of 80%"),
    ]
    saved = _metrics(published).get("saving_per_order")
    if saved:
        currency = str((plan.get("decision") or {}).get("currency", "money"))
        words = f"a past order, against the baseline's; 95%: {saved['low']:g} to {saved['high']:g}"
        found.append(_figure("saved", saved["estimate"], currency, words))
    return [one for one in found if one["value"] is not None]


def _pairs(published: Published) -> list[Figure]:
    scores = published.manifest["scores"] or {}
    found = [
        _figure("AUC", scores.get("auc"), "share", "whitespace pairs at past cutoffs ranked in the right order"),
        _figure("capture", scores.get("capture10"), "share", "of past buyers in the best tenth of whitespace pairs"),
        _figure("calibration", scores.get("calibration_mae"), "share", "mean gap between chance and share of buyers"),
    ]
    path = published.folder / "tables" / "list.parquet"
    if path.is_file():
        rows = published.table("list")
        currency = str((plan_of(published).get("worth") or {}).get("currency", "money"))
        found += [
            _figure("listed", float(rows.height), "pairs", "accounts to call, each for one product group"),
            _figure("expected", float(rows["expected"].sum()), currency, "chance times worth, over the list"),
            _figure("buyers", float(rows["p"].sum()), "buyers", "the sum of the chances on the list"),
        ]
    return [one for one in found if one["value"] is not None]


def _figure(name: str, value: float | None, unit: str, words: str) -> Figure:
    return {"name": name, "value": value, "unit": unit, "words": words}


def _scores(published: Published) -> dict[str, float | None]:
    rows = published.table("scores").filter(pl.col("model") == _OURS["forecast"])
    return dict(rows.select("metric", pl.col("value").fill_nan(None)).iter_rows())


def _metrics(published: Published) -> Mapping[str, Any]:
    path = published.folder / "metrics.json"
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


__all__ = ["kpis_of", "size_of"]
