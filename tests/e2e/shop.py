"""A small propensity for the tests that drive the installed program: customers with tastes and a rhythm of their own."""

from __future__ import annotations

import random as chance
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from foreproof.app.cli import main

KINDS = ("apples", "bread", "cheese")
PLAN = """
schema: 1
name: shop calls
workload: propensity
seed: 3
sources:
  lines: {url: lines.csv}
tables:
  lines:
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns:
      customer: text
      kind: text
      amount: {type: decimal, decimals: 2, low: 0, unit: euros}
pairs: {table: lines, account: customer, group: kind, value: amount, active: 42, owned: 42}
horizon: 14
models: [logistic]
features:
  - {over: count, of: lines, window: [14, 42]}
  - {recency: log, of: lines, along: [customer]}
backtest: {origins: 2, calibrations: 2, examples: 2}
list: {top: 0.1}
proof: {calibration: 0.2}
"""


def lines(customers: int = 60, days: int = 150) -> Iterator[str]:
    """A CSV of purchases, a line at a time."""
    drawn, start = chance.Random(5), date(2024, 1, 1)
    yield "customer,kind,date,amount"
    for c in range(customers):
        often, taste = drawn.uniform(0.03, 0.25), [drawn.random() ** 2 for _ in KINDS]
        for day in range(days):
            if drawn.random() < often:
                for kind, like in zip(KINDS, taste, strict=True):
                    if drawn.random() < like:
                        yield f"c{c:03d},{kind},{start + timedelta(days=day)},{drawn.uniform(1, 20):.2f}"


def given(folder: Path, *, plan: str = PLAN, data: str | None = None) -> Path:
    """A project folder with a plan and its data."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    (folder / "lines.csv").write_text("\n".join(lines()) + "\n" if data is None else data, encoding="utf-8")
    return folder


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """What the program ends with, called in this process."""
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    monkeypatch.setattr("sys.argv", ["foreproof", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
