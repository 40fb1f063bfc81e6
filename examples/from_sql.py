"""Sales from a database, twice: the second load asks only for what is as new as the newest row in the lake."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

PLAN = """
schema: 1
name: Shop
workload: forecast
sources:
  sales: {sql: "env:SHOP_DB", table: sales, watermark: day}
tables:
  sales:
    key: [item, day]
    happened: {column: day, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    columns: {item: text, units: {type: decimal, low: 0}}
series: {table: sales, by: [item], value: units, every: 1d, gap: missing}
horizon: 7
"""


def sell(database: Path, days: range) -> None:
    """One row a day of February."""
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS sales (item TEXT, day TEXT, units INTEGER)")
        rows = [("tea", f"2024-02-{day:02d}", 20 + day % 7) for day in days]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
    connection.close()


def main() -> None:
    """Load, sell some more, load again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SHOP_DB"] = f"sqlite:///{folder / 'shop.db'}"
        (folder / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
        for days in (range(1, 15), range(15, 22)):
            sell(folder / "shop.db", days)
            outcome = execute(open_project(folder), progress=Silent(), until="load")
            assert outcome.error is None
        batches = open_project(folder).lake.batches("sales")
        print(batches.select("batch", "rows", "added", "source"))
        assert batches["rows"].to_list() == [14, 8], "the second load read the newest day again, and what came after"
        assert batches["added"].to_list() == [14, 7]


if __name__ == "__main__":
    main()
