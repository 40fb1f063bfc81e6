"""Whom to call for what, where product groups are given by rules that change.

Makes five months of purchases, rules with validity that say which group an article belongs to, and a plan; runs every stage and
prints the list. Then a rule is learned of late: purchases move to another group for whoever knows it, and for
nobody before. The same folder could be run by `foreproof run`.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from foreproof.app.progress import Silent
from foreproof.app.project import Project, open_project
from foreproof.app.runner import execute

PLAN = """
schema: 1
name: Whom to call
workload: propensity
seed: 7
sources:
  lines: {url: lines.parquet}
  rules: {url: rules.parquet}
tables:
  lines:                   # a purchase has no number of its own, so it is its own key
    happened: day
    known: same_as_happened
    columns: {account: text, article: text, money: {type: decimal, decimals: 2, unit: euros}}
  rules:
    key: [pattern, since]
    happened: since        # valid from that day on
    known: {column: seen}
    ahead: true            # some are decided before they are valid
    columns: {pattern: text, group: text}
pairs:
  table: lines
  account: account
  value: money
  active: 56
  groups: [garden, kitchen, toys]
  group: {table: rules, item: article, expected: {garden: {share: [0.1, 0.6]}}}
horizon: 14
features:
  - {over: [count, sum], of: lines.money, window: [14, 56]}
  - {over: active, of: lines, window: 56, along: [account]}
  - {recency: log, of: lines}
models: [logistic]
backtest: {origins: 2, calibrations: 2, examples: 3}
worth: {margin: 0.4, currency: euros}
list: {count: 10, per_account: 1}
"""
ARTICLES = ("garden chair", "garden lamp", "pan", "kettle", "toy train", "doll")
RULES = [
    ("garden*", "garden", date(2024, 1, 1), date(2023, 12, 1)),
    ("pan", "kitchen", date(2024, 1, 1), date(2023, 12, 1)),
    ("kettle", "kitchen", date(2024, 1, 1), date(2023, 12, 1)),
    ("toy*", "toys", date(2024, 1, 1), date(2023, 12, 1)),
    ("doll", "toys", date(2024, 1, 1), date(2023, 12, 1)),
    ("garden lamp", "kitchen", date(2024, 4, 1), date(2024, 3, 15)),  # from April on a lamp for the kitchen
]


def purchases(accounts: int = 60, days: int = 150) -> pl.DataFrame:
    """Columns account, article, day, money: everybody has a rhythm and tastes."""
    drawn, rows = random.Random(3), []
    for a in range(accounts):
        often, tastes = drawn.uniform(0.05, 0.3), [drawn.random() ** 2 for _ in ARTICLES]
        for day in range(days):
            if drawn.random() < often:
                for article, taste in zip(ARTICLES, tastes, strict=True):
                    if drawn.random() < taste:
                        at = date(2024, 1, 1) + timedelta(days=day)
                        rows.append((f"account {a:02d}", article, at, round(drawn.uniform(5, 60), 2)))
    return pl.DataFrame(rows, schema=["account", "article", "day", "money"], orient="row")


def written(rules: list[tuple[str, str, date, date]], path: Path) -> None:
    """The rules as a file."""
    pl.DataFrame(rules, schema=["pattern", "group", "since", "seen"], orient="row").write_parquet(path)


def opened(folder: Path) -> Project:
    """The project; sixty accounts are fitted sooner than a second process starts."""
    project = open_project(folder)
    return replace(project, settings=replace(project.settings, workers=1))


def main() -> None:
    """Write the project, run it, learn of a rule late, look again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        purchases().write_parquet(folder / "lines.parquet")
        written(RULES, folder / "rules.parquet")
        (folder / "foreproof.yaml").write_text(PLAN, encoding="utf-8")

        outcome = execute(opened(folder), progress=Silent())
        assert outcome.error is None, outcome.error
        assert outcome.work.listed is not None
        print(outcome.work.listed.chosen.rows.select("rank", "account", "group", "p", "expected", "because"), "\n")
        print(pl.read_csv(outcome.folder / "tables" / "mapping.csv"), "\n")

        # A rule that was forgotten is written down in June, valid since January.
        forgotten = ("toy train", "garden", date(2024, 1, 1), date(2024, 6, 10))
        written([*RULES, forgotten], folder / "rules.parquet")
        done = execute(opened(folder), progress=Silent(), until="load")
        assert done.error is None and done.work.database is not None
        lines = done.work.database["lines"]
        for at in (datetime(2024, 5, 20, tzinfo=UTC), datetime.now(UTC)):
            trains = lines.as_of(at).filter(pl.col("article") == "toy train")
            print(f"as known on {at:%d %B %Y}, trains belong to: {', '.join(trains['group'].unique().to_list())}")
        assert set(
            lines.as_of(datetime(2024, 5, 20, tzinfo=UTC)).filter(pl.col("article") == "toy train")["group"]
        ) == {"toys"}


if __name__ == "__main__":
    main()
