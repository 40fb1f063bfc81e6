"""The registry of features: any declared feature as a mapping of the plan, and a file of them, `features.yaml`.

What is written is read back as the same values: parse(entry_of(f)) = f for every family, of events and of series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from foreproof.features import parse_events
from foreproof.features.ahead import Ahead
from foreproof.features.calendar import Calendar, Holiday
from foreproof.features.cells import Reading
from foreproof.features.declare import Feature, Meta
from foreproof.features.lags import Age, Difference, Lag, SeasonalLag
from foreproof.features.windows import Ratio, Rolling, SeasonalRolling

_WIDE = 10_000


def entry_of(feature: Feature) -> dict[str, Any]:
    """A feature as a mapping of the plan's list; `parse_features`, or `parse_event_features`, reads it back as an equal value.

    Raises PlanError for a feature that no plan can name.
    """
    match feature:
        case Lag(lag=lag, anchor=anchor, of=of):
            return {"lag": lag, **_anchor(anchor), **_of(of)}
        case SeasonalLag(season=season, k=k, of=of):
            return {"seasonal_lag": season, "k": k, **_of(of)}
        case Rolling(stat=stat, window=window, lag=lag, anchor=anchor, of=of):
            return {"rolling": stat, "window": window or "life", **_lag(lag), **_anchor(anchor), **_of(of)}
        case SeasonalRolling(stat=stat, season=season, count=count, of=of):
            return {"seasonal_rolling": stat, "season": season, "count": count, **_of(of)}
        case Difference(lag=lag, span=span, anchor=anchor, of=of):
            return {"difference": span, **_lag(lag), **_anchor(anchor), **_of(of)}
        case Ratio(window=window, base=base, lag=lag, anchor=anchor, of=of):
            return {"ratio": window, "base": base, **_lag(lag), **_anchor(anchor), **_of(of)}
        case Age():
            return {"age": True}
        case Calendar(part=part, season=season):
            return {"calendar": part, **({"season": season} if season else {})}
        case Holiday(country=country, part=part, subdivision=subdivision, within=within):
            place = {"subdivision": subdivision} if subdivision else {}
            return {"holiday": country, "parts": part, **place, "within": within}
        case Ahead(table=table, column=column, aggregate=aggregate, offset=offset):
            what = f"{table}.{column}" if column else table
            return {"ahead": what, "aggregate": aggregate, **({"offset": offset} if offset else {})}
    return parse_events.entry_of(feature)


def registry_text(features: Sequence[Feature], *, horizon: int) -> str:
    """A file of features as YAML, `features:` with one line each, what it reads above it; horizon: steps that are predicted."""
    lines = ["# Each feature with what it reads. Name this file in a plan: `features: features.yaml`", "features:"]
    for feature in features:
        lines += [f"  # {described(feature.meta(horizon))}", f"  - {_flow(entry_of(feature))}"]
    return "\n".join(lines) + "\n"


def described(meta: Meta) -> str:
    """`NAME (family; window 28, lag 0, nearest 0): maths`; window, lag and nearest fact in steps, where it has them."""
    life = meta.nearness is not None and meta.window is None
    parts = {"window": "life" if life else meta.window, "lag": meta.lag, "nearest": meta.nearness}
    said = ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)
    return f"{meta.name} ({meta.family}{f'; {said}' if said else ''}): {meta.maths}"


def _flow(entry: dict[str, Any]) -> str:
    return str(yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=_WIDE, allow_unicode=True)).strip()


def _lag(lag: int) -> dict[str, Any]:
    return {"lag": lag} if lag else {}


def _anchor(anchor: str) -> dict[str, Any]:
    return {} if anchor == "cutoff" else {"anchor": anchor}


def _of(of: Reading | None) -> dict[str, Any]:
    """What is read instead of the series."""
    if of is None:
        return {}
    found: dict[str, Any] = {"of": f"{of.table}.{of.column}" if of.column else of.table}
    found |= {"aggregate": of.aggregate, "gap": of.gap}
    found |= {"where": {name: list(values) for name, values in of.keep}} if of.keep else {}
    return found | ({"exclude": {name: list(values) for name, values in of.drop}} if of.drop else {})


__all__ = ["described", "entry_of", "registry_text"]
