"""A small project for the tests that drive the installed program."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

PLAN = """
schema: 1
name: shop
workload: forecast
seed: 3
sources:
  sales: {url: sales.csv}
tables:
  sales:
    key: [item, date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns:
      item: text
      units: {type: decimal, decimals: 0, low: 0, unit: units a day}
series: {table: sales, by: [item], value: units, every: 1d, gap: zero}
horizon: 7
models: [seasonal_naive, theta]
backtest: {origins: 4, calibrations: 2, every: 7, examples: 4}
decision: {cover: 7, short: 2.0, over: 1.0, currency: euros}
"""


def rows(items: int = 5, days: int = 140) -> list[tuple[str, date, int]]:
    """A weekly rhythm, a level of its own for each item, and a wobble that repeats in no week."""
    start = date(2024, 1, 1)
    return [
        (f"item {i}", start + timedelta(days=d), 20 + 8 * i + 3 * (d % 7) + round(4 * math.sin(d * (1.7 + i) + i)))
        for i in range(items)
        for d in range(days)
    ]


def csv(given: list[tuple[str, date, int]]) -> str:
    """The rows as a file."""
    return "item,date,units\n" + "".join(f"{item},{day},{units}\n" for item, day, units in given)


def make(folder: Path, *, plan: str = PLAN, data: str | None = None) -> Path:
    """A project folder with a plan and its data."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    (folder / "sales.csv").write_text(csv(rows()) if data is None else data, encoding="utf-8")
    return folder


def environment(**settings: str) -> dict[str, str]:
    """One worker, one thread, and a day that does not move."""
    return {**os.environ, "FOREPROOF_WORKERS": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200", **settings}


def foreproof(*words: str, folder: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """The installed program in a process of its own."""
    command = [sys.executable, "-c", "from foreproof.app.cli import main; main()", *words]
    if folder is not None:
        command += ["-C", str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(**settings), timeout=300
    )


def manifests(folder: Path) -> list[Mapping[str, Any]]:
    """The manifests of the runs of a project."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("runs/*/manifest.json"))]
