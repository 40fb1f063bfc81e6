"""Whether a run's folder holds all that a run must leave, with the columns that it must have."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from foreproof.app.artefacts import TABLE_KEYS

_FILES = (
    "index.html",
    "manifest.json",
    "plan_resolved.yaml",
    "logs.jsonl",
    "metrics.json",
    "preflight.json",
    "checkpoint.txt",
    "leaves.jsonl",
    "verify.py",
)
_OF_ORDERS = (
    "orders",
    "order_ranking",
    "order_window",
    "cost_curve",
    "voi",
    "replay",
    "replay_totals",
    "replay_stock",
    "replay_stock_totals",
)
_IF_ANY = ("cold", "cleaning")
_PLOTS = ("fan_00", "error_by_step", "coverage", "weights")


def problems(folder: Path, *, ordering: bool = False) -> list[str]:
    """What is missing or malformed; empty where everything is there. ordering: whether orders were asked for."""
    found = [f"{name}: missing" for name in _FILES if not (folder / name).is_file()]
    for name in ("manifest.json", "metrics.json", "preflight.json"):
        if (folder / name).is_file():
            json.loads((folder / name).read_text(encoding="utf-8"))
    skipped = _IF_ANY if ordering else (*_IF_ANY, *_OF_ORDERS)
    for name, keys in TABLE_KEYS.items():
        if name in skipped:
            continue
        table, plain = folder / "tables" / f"{name}.parquet", folder / "tables" / f"{name}.csv"
        if not table.is_file() or not plain.is_file():
            found.append(f"tables/{name}: missing as Parquet or CSV")
            continue
        frame = pl.read_parquet(table)
        lacking = [key for key in keys if key not in frame.columns]
        if frame.is_empty() or lacking:
            found.append(f"tables/{name}: {frame.height} rows, lacks {lacking}")
        if len(plain.read_text(encoding="utf-8").splitlines()) < frame.height + 1:
            found.append(f"tables/{name}.csv: fewer lines than {frame.height} rows and a header")
    found += [f"plots/{name}.png: missing" for name in _PLOTS if not (folder / "plots" / f"{name}.png").is_file()]
    return found


__all__ = ["problems"]
