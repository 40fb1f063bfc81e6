"""Features of pairs as of many cutoffs: Foreproof's one pass beside pandas, DuckDB and polars, cutoff by cutoff.

`python benchmarks/features.py --rows 800000,8000000 --cutoffs 12 --json FILE [--who foreproof,polars] [--quick] [--data DIR]`

Purchases of Online Retail II (known customer, no cancellation, positive quantity and price, the days that both files hold
once), repeated under new customer names to the wanted rows, each in one of 12 groups. A pair is a customer with a
purchase by the cutoff, times a group; cutoffs are month ends, the last 2011-11-30. Everybody makes the 27 columns of
FEATURES for all pairs at each cutoff as a frame, and keeps its checksums alone: of each column and cutoff the values that
are there and their sum. Money is added in pence. `max_abs_diff` is the
largest difference of a checksum from ours: of integers as it is, of floats over the larger of 1 and the sum. What is
measured includes reading the file, its imports and all that is prepared once. The largest row count is made by ours with
twice the cutoffs too.

The last block, at the largest row count: ours takes at most a seventh of the CPU seconds of pandas, a third of DuckDB's and
polars' own at most, in 1500 MB; twice the cutoffs at most 1.3 times; and everybody's checksums are equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

import retail
from common import CaseFailed, Check, Row, data_dir, expect, measure, parser, print_table, write_json

BENCHMARK, OURS = "features", "foreproof"
PEERS = ("pandas", "duckdb", "polars")
FIRST, LAST = date(2009, 12, 1), date(2011, 11, 30)
WINDOWS, GROUPS, DAY = (30, 90, 180, 365), 12, 86_400_000_000
QUICK = 20_000
"""Rows of a short run."""
TOLERANCE = 1e-9
COUNTED = (
    *(f"sales_{w}" for w in WINDOWS),
    *(f"count_{w}" for w in WINDOWS),
    *(f"active_{w}" for w in WINDOWS),
    "sales_365_before_60",
    "quantity_90",
    "quantity_365",
)
FEATURES = (
    *COUNTED,
    "mean_365",
    "max_365",
    "recency",
    "recency_log",
    "tenure",
    "active_life",
    "interval",
    "share_365",
    "sales_90_by_365",
    "sales_90_less_before",
    "customer_sales_365",
    "customer_active_365",
)
"""All over days in (cutoff - w, cutoff]; integers but the means, the log, the interval and the two ratios."""
MONEY = ("mean_365", "max_365", *(name for name in FEATURES if "sales" in name and "by" not in name))
REAL = ("mean_365", "recency_log", "interval", "share_365", "sales_90_by_365")

Sums = dict[str, list[list[float]]]
"""By cutoff, for each of FEATURES: how many values there are, and their sum."""


# --- the data -------------------------------------------------------------------------------------------------------


def sales(folder: Path) -> pl.DataFrame:
    """Customer (number), grp, day, sales (pence), quantity: a row a line, in the files' order."""
    first, second = (pl.read_parquet(folder / name) for name in retail.FILES)
    both = pl.concat([first, second.filter(pl.col("InvoiceDate") > first["InvoiceDate"].max())])
    codes = both["StockCode"].unique().to_list()
    grp = [f"g{zlib.crc32(code.encode()) % GROUPS:02d}" for code in codes]
    return both.filter(
        pl.col("Customer ID").is_not_null(),
        ~pl.col("Invoice").str.starts_with("C"),
        pl.col("Quantity") > 0,
        pl.col("Price") > 0,
    ).select(
        customer="Customer ID",
        grp=pl.col("StockCode").replace_strict(codes, grp, return_dtype=pl.String),
        day=pl.col("InvoiceDate").dt.date(),
        sales=(pl.col("Quantity") * pl.col("Price") * 100).round().cast(pl.Int64),
        quantity="Quantity",
    )


def prepare(lines: pl.DataFrame, rows: int, path: Path) -> None:
    """The first `rows` rows by copy and customer, in the order of days; occurrence numbers exact repeats, as a lake does."""
    copies = -(-rows // lines.height)
    name = pl.col("customer").cast(pl.String)
    parts = [
        lines.sort("customer", maintain_order=True)
        .head(rows - i * lines.height)
        .with_columns(customer=pl.lit(f"k{i}-") + name)
        for i in range(copies)
    ]
    frame = pl.concat(parts).sort("day", maintain_order=True)
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(frame.columns)
    frame.with_columns(occurrence=number).write_parquet(path)


# --- what is measured: each reads the file and returns checksums by cutoff --------------------------------------------


def foreproof(path: str, cutoffs: Sequence[str]) -> Sums:
    """Ours: one pass over all cutoffs, chunk by chunk of pairs."""
    import numpy as np

    from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, OCCURRENCE, Column, Contract, Known, Stamp
    from foreproof.core.grid import parse_grid
    from foreproof.core.view import Database, Table
    from foreproof.features import Population, pair_chunks

    columns = (
        Column("customer", "text"),
        Column("grp", "text"),
        Column("sales", "decimal", decimals=2),
        Column("quantity", "integer"),
    )
    contract = Contract("lines", (), Stamp("day", period="1d"), Known("same_as_happened"), columns)
    rows = pl.read_parquet(path).with_columns(
        ((pl.col("day").cast(pl.Int64) + 1) * DAY - 1).cast(pl.Datetime("us", "UTC")).alias(HAPPENED)
    )
    rows = rows.select(
        *(column.name for column in columns),
        HAPPENED,
        pl.col(HAPPENED).alias(KNOWN),
        pl.lit(1, dtype=pl.Int64).alias(BATCH),
        pl.lit(False).alias(DELETED),
        pl.col("occurrence").alias(OCCURRENCE),
    )
    table = Table(contract, rows)
    grid = parse_grid("1d")
    ends = np.array([date.fromisoformat(cutoff).toordinal() - date(1970, 1, 1).toordinal() for cutoff in cutoffs])
    first = rows.group_by("customer").agg(pl.col(HAPPENED).min()).sort("customer")
    names = pl.DataFrame({"grp": [f"g{i:02d}" for i in range(GROUPS)]})
    keys = first.select("customer").join(names, how="cross", maintain_order="left_right")
    since = np.repeat(grid.index(first[HAPPENED].to_physical().to_numpy()), GROUPS)
    population = Population(grid, keys, ends, since[:, None] <= ends)
    features, database = declared(), Database({"lines": table})
    del rows, table, first
    total = np.zeros((len(cutoffs), len(FEATURES), 2))
    for chunk in pair_chunks(database, population, features, horizon=28):
        place = np.searchsorted(ends, grid.index(chunk["cutoff"].to_physical().to_numpy()))
        many = np.bincount(place, minlength=len(cutoffs))
        for i, feature in enumerate(features):
            total[:, i] += _sums_at(chunk[feature.name], place, many, money=FEATURES[i] in MONEY)
    return {
        cutoff: [
            [int(n), float(value) if name in REAL else round(value)]
            for name, (n, value) in zip(FEATURES, sums, strict=True)
        ]
        for cutoff, sums in zip(cutoffs, total.tolist(), strict=True)
    }


def _sums_at(column: pl.Series, place: Any, many: Any, *, money: bool) -> Any:
    """Values and their sum by cutoff. Money of ours is in pounds: the sum of a chunk is off by far less than half a penny, so
    whole pence are exact, as counts are.
    """
    import numpy as np

    size = len(many)
    if column.null_count():
        # what is not there is added up apart, in places of its own behind those of the cutoffs
        place = place + size * column.is_null().to_numpy()
        many = np.bincount(place, minlength=2 * size)[:size]
    sums = np.bincount(place, column.to_numpy(), minlength=2 * size)[:size]
    if money:
        sums = sums * 100
        sums = sums if "mean" in column.name else np.rint(sums)
    return np.stack([many, sums], axis=1)


def declared() -> tuple[Any, ...]:
    """FEATURES as the platform declares them."""
    from foreproof.features import Against, Events, Over, Recency, Rhythm, Share, Tenure

    lines, customer = Events("lines"), Events("lines", along=("customer",))
    return (
        *(Over("sum", lines, "sales", w) for w in WINDOWS),
        *(Over("count", lines, window=w) for w in WINDOWS),
        *(Over("active", lines, window=w) for w in WINDOWS),
        Over("sum", lines, "sales", 365, 60),
        *(Over("sum", lines, "quantity", w) for w in (90, 365)),
        *(Over(stat, lines, "sales", 365) for stat in ("mean", "max")),
        Recency(lines),
        Recency(lines, "log"),
        Tenure(lines),
        Over("active", lines),
        Rhythm("interval", lines),
        Share(lines, 365, ("customer",), "sales"),
        Against("ratio", "sum", lines, 90, 365, "sales"),
        Against("difference", "sum", lines, 90, 90, "sales", base_lag=90),
        Over("sum", customer, "sales", 365),
        Over("active", customer, window=365),
    )


def polars(path: str, cutoffs: Sequence[str]) -> Sums:
    """A row a pair and day once, then one group_by of the days up to each cutoff."""
    data = pl.read_parquet(path, columns=["customer", "grp", "day", "sales", "quantity"])
    names = data["customer"].unique().sort()
    kinds = pl.Enum(names)
    day = pl.col("day").to_physical()
    days = (
        data.lazy()
        .select(
            pair=pl.col("customer").cast(kinds).to_physical().cast(pl.Int32) * GROUPS
            + pl.col("grp").str.slice(1).cast(pl.Int32),
            day=day,
            sales="sales",
            quantity="quantity",
        )
        .group_by("pair", "day")
        .agg(pl.col("sales", "quantity").sum(), most=pl.col("sales").max(), rows=pl.len())
        .sort("pair", "day")
        .collect()
    )
    del data
    visits = days.group_by(pl.col("pair") // GROUPS, "day", maintain_order=True).agg(pl.col("sales").sum())
    return {cutoff: _polars_at(days, visits, date.fromisoformat(cutoff)) for cutoff in cutoffs}


def _polars_at(days: pl.DataFrame, visits: pl.DataFrame, cutoff: date) -> list[list[float]]:
    at = cutoff.toordinal() - date(1970, 1, 1).toordinal()
    age: Any = at - pl.col("day")

    def within(name: str, high: int, low: int = 0) -> pl.Expr:
        return pl.col(name).filter((age < high) & (age >= low)).sum()

    past = days.lazy().filter(pl.col("day") <= at)
    own = past.group_by("pair").agg(
        *(within("sales", w).alias(f"sales_{w}") for w in WINDOWS),
        *(within("rows", w).cast(pl.Int64).alias(f"count_{w}") for w in WINDOWS),
        *((age < w).sum().alias(f"active_{w}") for w in WINDOWS),
        within("sales", 425, 60).alias("sales_365_before_60"),
        *(within("quantity", w).alias(f"quantity_{w}") for w in (90, 365)),
        pl.col("most").filter(age < 365).max().alias("max_365"),
        age.min().alias("recency"),
        age.max().alias("tenure"),
        pl.len().alias("active_life"),
        within("sales", 180, 90).alias("before"),
    )
    whole = (
        visits.lazy()
        .filter(pl.col("day") <= at)
        .group_by("pair")
        .agg(within("sales", 365).alias("customer_sales_365"), (age < 365).sum().alias("customer_active_365"))
    )
    every = pl.LazyFrame({"grp": range(GROUPS)}, schema={"grp": pl.Int32})
    asked = whole.join(every, how="cross").with_columns(pair=pl.col("pair") * GROUPS + pl.col("grp"))
    sales: Any = pl.col("sales_365")
    made = (
        asked.join(own, on="pair", how="left")
        .with_columns(pl.col(*COUNTED, "active_life", "before").fill_null(0))
        .with_columns(
            mean_365=pl.when(pl.col("count_365") > 0).then(sales / pl.col("count_365")),
            recency_log=pl.col("recency").log1p(),
            interval=pl.when(pl.col("active_life") > 1).then(
                (pl.col("tenure") - pl.col("recency")) / (pl.col("active_life").cast(pl.Int64) - 1)
            ),
            share_365=pl.when(pl.col("customer_sales_365") != 0).then(sales / pl.col("customer_sales_365")),
            sales_90_by_365=pl.when(sales != 0).then(pl.col("sales_90") / sales),
            sales_90_less_before=pl.col("sales_90") - pl.col("before"),
        )
        .select(FEATURES)
        .collect()
    )
    return _pairs(made.select(_checks()).row(0, named=True))


def _checks() -> list[pl.Expr]:
    counts = [pl.col(name).count().cast(pl.Int64).alias(f"n:{name}") for name in FEATURES]
    wide = [pl.col(name) if name in REAL else pl.col(name).cast(pl.Int64) for name in FEATURES]
    return [*counts, *(column.sum().alias(f"s:{name}") for name, column in zip(FEATURES, wide, strict=True))]


def _pairs(row: dict[str, Any]) -> list[list[float]]:
    return [[row[f"n:{name}"], row[f"s:{name}"]] for name in FEATURES]


def duckdb(path: str, cutoffs: Sequence[str]) -> Sums:
    """A row a pair and day once, then one query a cutoff."""
    import duckdb as library

    base = library.connect(config={"threads": 1})
    base.execute(
        "create temp table days as select customer, grp, day, sum(sales)::bigint sales, sum(quantity)::bigint quantity, "
        "max(sales) most, count(*) n from read_parquet(?) group by all",
        [path],
    )
    base.execute("create temp table visits as select customer, day, sum(sales)::bigint sales from days group by all")
    found = {}
    for cutoff in cutoffs:
        base.execute(_query(cutoff))
        sums = ", ".join(f"count({name}), coalesce(sum({name}), 0)" for name in FEATURES)
        row = base.execute(f"select {sums} from made").fetchone() or ()
        found[cutoff] = [[*pair] for pair in zip(row[::2], row[1::2], strict=True)]
    return found


def _query(cutoff: str) -> str:
    """The table `made` of a cutoff."""

    def within(name: str, high: int, low: int = 0) -> str:
        return f"coalesce(sum({name}) filter (age < {high} and age >= {low}), 0)::bigint"

    own = [f"{within('sales', w)} sales_{w}" for w in WINDOWS]
    own += [f"{within('n', w)} count_{w}" for w in WINDOWS]
    own += [f"count(*) filter (age < {w}) active_{w}" for w in WINDOWS]
    own += [f"{within('sales', 425, 60)} sales_365_before_60"]
    own += [f"{within('quantity', w)} quantity_{w}" for w in (90, 365)]
    own += ["max(most) filter (age < 365) max_365", "min(age) recency", "max(age) tenure", "count(*) active_life"]
    own += [f"{within('sales', 180, 90)} before"]
    zero = ", ".join(f"coalesce({name}, 0) {name}" for name in (*COUNTED, "active_life", "before"))
    age = f"date '{cutoff}' - day as age"
    return f"""create or replace temp table made as
        with own as (select customer, grp, {", ".join(own)}
                     from (select *, {age} from days where day <= '{cutoff}') group by customer, grp),
        whole as (select customer, {within("sales", 365)} customer_sales_365, count(*) filter (age < 365) customer_active_365
                  from (select *, {age} from visits where day <= '{cutoff}') group by customer),
        asked as (select * from whole cross join (select 'g' || lpad(i::varchar, 2, '0') grp from range({GROUPS}) t(i))),
        filled as (select customer, grp, customer_sales_365, customer_active_365, {zero}, max_365, recency, tenure
                   from asked left join own using (customer, grp))
        select *, sales_365 / nullif(count_365, 0) mean_365, ln(1 + recency) recency_log,
               (tenure - recency) / nullif(greatest(active_life - 1, 0), 0) as "interval",
               sales_365 / nullif(customer_sales_365, 0) share_365, sales_90 / nullif(sales_365, 0) sales_90_by_365,
               sales_90 - before sales_90_less_before from filled"""


def pandas(path: str, cutoffs: Sequence[str]) -> Sums:
    """A loop over cutoffs and windows, each a groupby of the rows in the window."""
    import pandas as library

    data = library.read_parquet(path, columns=["customer", "grp", "day", "sales", "quantity"])
    data["day"] = library.to_datetime(data["day"])
    for name in ("customer", "grp"):
        data[name] = data[name].astype("category")
    days = data[["customer", "grp", "day"]].drop_duplicates()
    visits = data[["customer", "day"]].drop_duplicates()
    return {cutoff: _pandas_at(data, days, visits, library.Timestamp(cutoff)) for cutoff in cutoffs}


def _pandas_at(data: Any, days: Any, visits: Any, cutoff: Any) -> list[list[float]]:
    import numpy as np
    import pandas as library

    def within(frame: Any, high: int, low: int = 0) -> Any:
        start, end = (cutoff - library.Timedelta(days=back) for back in (high, low))
        return frame[(frame["day"] > start) & (frame["day"] <= end)]

    def by_pair(frame: Any) -> Any:
        return frame.groupby(["customer", "grp"], observed=True, sort=False)

    past, past_days = data[data["day"] <= cutoff], days[days["day"] <= cutoff]
    seen = past["customer"].unique()
    index = library.MultiIndex.from_product([seen, data["grp"].cat.categories], names=["customer", "grp"])
    found: dict[str, Any] = {}
    for w in WINDOWS:
        lines = by_pair(within(past, w))
        found[f"sales_{w}"] = lines["sales"].sum()
        found[f"count_{w}"] = lines.size()
        found[f"active_{w}"] = by_pair(within(past_days, w)).size()
        if w in (90, 365):
            found[f"quantity_{w}"] = lines["quantity"].sum()
        if w == 365:
            found["mean_365"], found["max_365"] = lines["sales"].mean(), lines["sales"].max()
    found["sales_365_before_60"] = by_pair(within(past, 425, 60))["sales"].sum()
    found["before"] = by_pair(within(past, 180, 90))["sales"].sum()
    life = by_pair(past_days)["day"].agg(["min", "max", "count"])
    found["active_life"] = life["count"]
    made = library.DataFrame({name: column.reindex(index) for name, column in found.items()})
    zero = [*COUNTED, "active_life", "before"]
    made[zero] = made[zero].fillna(0).astype("int64")
    life = life.reindex(index)
    made["recency"], made["tenure"] = (cutoff - life["max"]).dt.days, (cutoff - life["min"]).dt.days
    made["recency_log"] = np.log1p(made["recency"])
    made["interval"] = (made["tenure"] - made["recency"]) / (made["active_life"] - 1).where(made["active_life"] > 1)
    year = within(past, 365).groupby("customer", observed=True)["sales"].sum()
    active = within(visits, 365).groupby("customer", observed=True).size()
    customer = index.get_level_values("customer")
    for name, column in (("customer_sales_365", year), ("customer_active_365", active)):
        made[name] = column.reindex(customer).fillna(0).astype("int64").to_numpy()
    made["share_365"] = made["sales_365"] / made["customer_sales_365"].where(made["customer_sales_365"] != 0)
    made["sales_90_by_365"] = made["sales_90"] / made["sales_365"].where(made["sales_365"] != 0)
    made["sales_90_less_before"] = made["sales_90"] - made["before"]
    made = made[list(FEATURES)]
    return [[int(n), float(total)] for n, total in zip(made.count(), made.sum(), strict=True)]


# --- who is measured on what, and how the checksums compare -----------------------------------------------------------


def difference(ours: Sums, theirs: Sums) -> float:
    """The largest difference of two lots of checksums, infinite where cutoffs or counts differ."""
    if set(ours) != set(theirs):
        return float("inf")
    worst = 0.0
    for cutoff, checks in ours.items():
        for name, (n, total), (m, other) in zip(FEATURES, checks, theirs[cutoff], strict=True):
            off = abs(total - other) / (max(1.0, abs(total)) if name in REAL else 1.0)
            worst = max(worst, off if n == m else float("inf"))
    return worst


def measured(lines: Path, rows: int, cutoffs: Sequence[str], who: Sequence[str], case: str) -> list[Row]:
    """Everybody's costs on one file, and how far their checksums are from the first one's."""
    found, first = [], None
    for one in who:
        label = one if one == OURS else f"{one} {metadata.version(one)}"
        try:
            done = measure(f"features:{one}", path=str(lines), cutoffs=list(cutoffs))
        except CaseFailed as error:
            print(f"{label}: failed and has no figures: {error}", flush=True)
            continue
        found += done.rows(BENCHMARK, case, label, n=rows)
        if first is None:
            first = done.result
        else:
            found.append(Row(BENCHMARK, case, label, "max_abs_diff", difference(first, done.result), "checksum", rows))
    return found


def run(options: argparse.Namespace, folder: Path) -> list[Row]:
    """Every row count, and the largest with twice the cutoffs by ours."""
    source, rows = sales(folder), []
    ends = [f"{end}" for end in retail.month_ends(FIRST, LAST)]
    with tempfile.TemporaryDirectory() as name:
        for count in options.rows:
            lines = Path(name) / f"{count}.parquet"
            prepare(source, count, lines)
            rows += measured(lines, count, ends[-options.cutoffs :], options.who, f"rows_{count}")
            if count == max(options.rows) and OURS in options.who:
                twice = 2 * options.cutoffs
                more = measured(lines, count, ends[-twice:], [OURS], f"rows_{count}_cutoffs_{twice}")
                cpu = [row.value for row in (*rows, *more) if _is_ours(row, count)]
                rows += more
                if len(cpu) == 2:
                    rows.append(replace(more[0], metric="growth", value=cpu[1] / cpu[0], unit="ratio"))
            lines.unlink()
    return rows


def _is_ours(row: Row, count: int) -> bool:
    return row.who == OURS and row.metric == "cpu_seconds" and row.n == count


def checks(rows: Sequence[Row], options: argparse.Namespace) -> list[Check]:
    """The bounds of ours at the largest row count, and equal checksums everywhere."""
    most = max(options.rows)
    case = f"rows_{most}"
    found = [Check(case, "peak_mb", high=1500), Check(f"{case}_cutoffs_{2 * options.cutoffs}", "growth", high=1.3)]
    shares = {"pandas": 1 / 7, "duckdb": 1 / 3, "polars": 1.0}
    for row in rows:
        if row.who == OURS:
            continue
        if row.case == case and row.metric == "cpu_seconds":
            share = shares[row.who.split(" ", maxsplit=1)[0]]
            found.append(Check(case, "cpu_seconds", high=row.value * share))
        if row.metric == "max_abs_diff":
            found.append(Check(row.case, "max_abs_diff", high=TOLERANCE, who=row.who))
    return found


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; rows as numbers, an unknown who refused in words."""
    arguments = parser((__doc__ or "").splitlines()[0])
    arguments.add_argument("--rows", default="800000,8000000", help="how many rows, separated by commas")
    arguments.add_argument("--cutoffs", type=int, default=12, help="how many month ends, 1 to 12")
    arguments.add_argument("--who", default=",".join((OURS, *PEERS)), help="who is measured, separated by commas")
    chosen = arguments.parse_args(words)
    counts = chosen.rows.split(",")
    if not all(count.isdigit() and int(count) > 0 for count in counts):
        arguments.error(f"--rows: found {chosen.rows}, wanted numbers above 0, separated by commas")
    chosen.rows = [QUICK] if chosen.quick else [int(count) for count in counts]
    if not 1 <= chosen.cutoffs <= 12:
        arguments.error(f"--cutoffs: found {chosen.cutoffs}, wanted 1 to 12")
    chosen.who = list(dict.fromkeys(filter(None, chosen.who.split(","))))
    unknown = [who for who in chosen.who if who not in (OURS, *PEERS)]
    if unknown or not chosen.who:
        known = ", ".join((OURS, *PEERS))
        arguments.error(f"--who: found {', '.join(unknown) or 'nothing'}, wanted some of {known}")
    return chosen


def main() -> int:
    """Measure, print, compare."""
    options = options_of()
    folder = data_dir(options)
    absent = [name for name in retail.FILES if not (folder / name).is_file()]
    if absent:
        print(f"data: no {', '.join(absent)} in {folder}; see docs/benchmarks.md")
        return 2
    rows = run(options, folder)
    print_table(rows)
    write_json(rows, options.json)
    return expect(rows, checks(rows, options))


if __name__ == "__main__":
    sys.exit(main())
