"""Rows a second and peak memory from CSV and Parquet into the lake, contract checks included.

`python benchmarks/ingest.py --rows 1000000,10000000 --json FILE [--quick]`

The data are made here: daily sales by store and article with a price, a flag and a text. Peers read the same files and
write them to a Delta table without any check: no key, no bounds, no digest, no versions. Case `*_again` loads a second file
of as many later rows into the lake that holds the first one, and `*_twice` the first file again, which must change nothing.
Seconds include importing the libraries, as a command does.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import Check, Measured, Row, expect, measure, parser, print_table, write_json

BENCHMARK = "ingest"
NOW = datetime(2100, 1, 1, tzinfo=UTC)
STORES, ARTICLES = 50, 200
CONTRACT: dict[str, Any] = {
    "key": ["store", "article", "day"],
    "happened": {"column": "day", "formats": ["%Y-%m-%d"], "period": "1d"},
    "known": "same_as_happened",
    "columns": {
        "store": "text",
        "article": "text",
        "units": {"type": "decimal", "decimals": 0, "low": 0},
        "price": {"type": "decimal", "decimals": 2, "low": 0, "high": 1000, "nullable": True},
        "promo": "flag",
        "note": {"type": "text", "nullable": True},
    },
}


def make(folder: str, rows: int, part: int) -> None:
    """Write part 0 or 1 of the data as CSV and Parquet: `rows` sales in the order of their days, keys unique."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng([rows, part])
    number = np.arange(part * rows, (part + 1) * rows)
    cell = number % (STORES * ARTICLES)
    frame = pl.DataFrame(
        {
            "store": cell // ARTICLES,
            "article": cell % ARTICLES,
            "day": number // (STORES * ARTICLES),
            "units": rng.poisson(3.0, rows),
            "price": rng.integers(50, 5000, rows),
            "promo": rng.random(rows) < 0.1,
            "note": rng.integers(0, 50, rows),
        }
    ).select(
        pl.format("S{}", "store").alias("store"),
        pl.format("A{}", pl.col("article") + 10_000).alias("article"),
        (pl.date(2015, 1, 1) + pl.duration(days="day")).alias("day"),
        "units",
        pl.when(pl.col("price") > 60).then(pl.col("price") / 100).alias("price"),
        "promo",
        pl.when(pl.col("note") < 3).then(pl.format("remark {}", "note")).alias("note"),
    )
    frame.write_csv(f"{folder}/part{part}.csv")
    frame.write_parquet(f"{folder}/part{part}.parquet")


def foreproof(folder: str, path: str) -> dict[str, int]:
    """Read, check against the contract, load."""
    from foreproof.adapters.lake import Lake
    from foreproof.adapters.sources import parse_source, read
    from foreproof.core.contract import parse_contract
    from foreproof.core.section import Section
    from foreproof.core.table import columns_of, parse

    contract = parse_contract("sales", Section(CONTRACT, path="tables.sales"))
    source = parse_source(Section({"url": path}, path="sources.sales"))
    raw = read(source, folder=Path(folder), wanted=columns_of(contract))
    loaded = Lake(f"{folder}/lake", clock=lambda: NOW).load(parse(contract, raw, now=NOW), source=path)
    return {"added": loaded.added, "again": int(loaded.already_loaded)}


def polars_alone(folder: str, path: str) -> dict[str, int]:
    """Polars to Delta, nothing checked."""
    import polars as pl

    frame = pl.read_csv(path, try_parse_dates=True) if path.endswith(".csv") else pl.read_parquet(path)
    frame.write_delta(f"{folder}/polars", mode="append")
    return {"added": frame.height, "again": 0}


def pandas_alone(folder: str, path: str) -> dict[str, int]:
    """Pandas to Delta, nothing checked."""
    import pandas as pd
    import pyarrow as pa
    from deltalake import write_deltalake

    frame = pd.read_csv(path, parse_dates=["day"]) if path.endswith(".csv") else pd.read_parquet(path)
    write_deltalake(f"{folder}/pandas", pa.Table.from_pandas(frame, preserve_index=False), mode="append")
    return {"added": len(frame), "again": 0}


def _peers() -> dict[str, str]:
    import pandas as pd
    import polars as pl

    return {f"polars {pl.__version__}": "polars_alone", f"pandas {pd.__version__}": "pandas_alone"}


def _case(kind: str, rows: int) -> list[Row]:
    """All figures of one format and size."""
    case = f"{kind}_{rows}"
    out: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (0, 1):
            measure("ingest:make", folder=folder, rows=rows, part=part)
        first, second = (f"{folder}/part{part}.{kind}" for part in (0, 1))
        for label, path, added in ((case, first, rows), (f"{case}_again", second, rows), (f"{case}_twice", first, 0)):
            done = measure("ingest:foreproof", folder=folder, path=path)
            if done.result != {"added": added, "again": int(not added)}:
                raise SystemExit(f"{label}: {done.result}, wanted {added} rows added")
            out += _figures(label, "foreproof", done, rows)
        for who, name in _peers().items():
            out += _figures(case, who, measure(f"ingest:{name}", folder=folder, path=first), rows)
            shutil.rmtree(f"{folder}/{name.partition('_')[0]}")
    return out


def _figures(case: str, who: str, done: Measured, rows: int) -> list[Row]:
    speed = Row(BENCHMARK, case, who, "rows_per_second", rows / done.wall_seconds, "rows/s", rows)
    return [speed, *done.rows(BENCHMARK, case, who, n=rows)]


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", default="1000000", help="sizes, for example 1000000,10000000")
    chosen = arguments.parse_args()
    sizes = [100_000] if chosen.quick else [int(text) for text in chosen.rows.split(",")]
    rows: list[Row] = []
    for size in sizes:
        for kind in ("csv", "parquet"):
            rows += _case(kind, size)
    print_table(rows)
    write_json(rows, chosen.json)
    # Expected of a million rows of CSV, in proportion above that; fewer rows get no less, since imports cost the same.
    checks = []
    for size in sizes:
        share = max(1.0, size / 1_000_000)
        checks += [Check(f"csv_{size}", "cpu_seconds", high=5.0 * share)]
        checks += [Check(f"csv_{size}", "peak_mb", high=1000.0 * share)]
    return expect(rows, checks)


if __name__ == "__main__":
    sys.exit(main())
