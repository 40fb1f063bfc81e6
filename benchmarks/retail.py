"""The whitespace task on Online Retail II: purchases, product groups, pairs with labels, and as-of features.

Who benchmarks on it imports `purchases`, `task`, `features` and `settled` from here. A cutoff is a date and means the end
of that day; a window of w days is (cutoff - w, cutoff]. Nothing about a pair reads a line after its cutoff but `y`.

Data: `online_retail_II/year_2009_2010.parquet` and `year_2010_2011.parquet`, the two sheets as published (UCI; Chen 2012).
Chen, Sain & Guo, Data mining for the online retail industry (2012), describe the shop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl

FILES = ("online_retail_II/year_2009_2010.parquet", "online_retail_II/year_2010_2011.parquet")
GROUPS, FITTED_BEFORE = 12, date(2010, 7, 1)
YEAR, LABEL_DAYS = 365, 90
FIRST, LAST = date(2010, 3, 31), date(2011, 12, 9)
"""The first training cutoff, and the last day of the data."""
WINDOWS = (30, 90, 180, 365)
PAIR = ("customer", "grp", "cutoff")


def sold(folder: Path) -> pl.DataFrame:
    """Invoiced product lines: customer (null for 22% of them), sku, text, day, money.

    The second file repeats 1 to 9 December 2010 line by line, so it counts from the first file's last instant on. No
    cancellation (invoice C...) and no adjustment (A...) is a sale, nor is a line of no quantity or price. Products have
    codes of five digits and letters at most; POST, DOT, M, BANK CHARGES, gift vouchers and tests have not.
    A purchase that is cancelled later stays one: at the cutoff nobody knew.
    """
    first, second = (pl.read_parquet(folder / name) for name in FILES)
    both = pl.concat([first, second.filter(pl.col("InvoiceDate") > first["InvoiceDate"].max())])
    return (
        both.with_columns(sku=pl.col("StockCode").str.strip_chars().str.to_uppercase())
        .filter(
            pl.col("Invoice").str.contains(r"^\d+$"),
            pl.col("sku").str.contains(r"^\d{5}[A-Z]*$"),
            pl.col("Quantity") > 0,
            pl.col("Price") > 0,
        )
        .select(
            customer=pl.col("Customer ID"),
            sku="sku",
            text=pl.col("Description").fill_null("").str.strip_chars().str.to_lowercase(),
            day=pl.col("InvoiceDate").dt.date(),
            money=pl.col("Quantity") * pl.col("Price"),
        )
    )


def groups(lines: pl.DataFrame, *, count: int = GROUPS, seed: int = 0) -> pl.DataFrame:
    """sku, grp: k-means on the TF-IDF of the words of products sold before 2010-07-01, which alone are learned from.

    A product's text is the one most lines before that day bear (the first in the alphabet of equals); a product first
    sold later goes by the text of its first line to the nearest centroid. No customer, sale or label counts.
    """
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    early = lines.filter(pl.col("day") < FITTED_BEFORE)
    known = early.group_by("sku", "text").len().sort(["sku", "len", "text"], descending=[False, True, False])
    known = known.unique("sku", keep="first", maintain_order=True).select("sku", "text")
    later = lines.join(known, on="sku", how="anti").sort("sku", "day", "text")
    later = later.unique("sku", keep="first", maintain_order=True).select("sku", "text")
    words = TfidfVectorizer(min_df=5, stop_words="english", sublinear_tf=True)
    # So many starts, so that the figures do not hang on one seed's luck.
    means = KMeans(count, n_init=10, random_state=seed).fit(words.fit_transform(known["text"]))
    found = [means.labels_, means.predict(words.transform(later["text"]))] if later.height else [means.labels_]
    assigned = pl.concat([pl.Series("grp", part, dtype=pl.Int32) for part in found])
    return pl.concat([known, later]).select("sku", grp=assigned)


def purchases(folder: Path) -> pl.DataFrame:
    """customer, sku, grp, day, money: one row a customer, product and day; lines without a customer are left out."""
    lines = sold(folder)
    bought = lines.filter(pl.col("customer").is_not_null()).join(groups(lines), on="sku")
    return bought.group_by("customer", "sku", "grp", "day").agg(pl.col("money").sum()).sort("customer", "sku", "day")


def month_ends(first: date, last: date) -> tuple[date, ...]:
    """The last day of each month within [first, last]."""
    days = pl.date_range(first, last, "1d", eager=True)
    return tuple(days.filter(days.dt.month_end() == days).to_list())


def settled(cutoff: date, *, first: date = FIRST) -> tuple[date, ...]:
    """Month ends c' from `first` on whose labels were known at the cutoff: c' + 90 days <= cutoff, the gap law."""
    return month_ends(first, cutoff - timedelta(days=LABEL_DAYS))


def pairs(bought: pl.DataFrame, cutoffs: Sequence[date], *, count: int = GROUPS) -> pl.DataFrame:
    """customer, grp, cutoff, whitespace: accounts (customers with a purchase in (c - 365, c]) times all groups.

    whitespace: the customer bought nothing of the group in (c - 365, c].
    """
    every = pl.DataFrame({"grp": range(count)}, schema={"grp": pl.Int32})
    parts = []
    for cutoff in cutoffs:
        year = _within(bought, cutoff, YEAR)
        held = year.select("customer", "grp").unique().with_columns(whitespace=pl.lit(False))
        accounts = year.select("customer").unique().join(every, how="cross")
        parts.append(
            accounts.join(held, on=["customer", "grp"], how="left")
            .with_columns(pl.col("whitespace").fill_null(True), cutoff=pl.lit(cutoff))
            .select(*PAIR, "whitespace")
        )
    return pl.concat(parts).sort("cutoff", "customer", "grp")


def task(bought: pl.DataFrame, cutoffs: Sequence[date], *, known: date = LAST, count: int = GROUPS) -> pl.DataFrame:
    """customer, grp, cutoff, y, whitespace: y = 1 where the customer buys of the group in (c, c + 90 days], else 0.

    known: the day up to which lines are known; a cutoff whose label would end after it is refused by ValueError.
    """
    open_ones = [cutoff for cutoff in cutoffs if cutoff + timedelta(days=LABEL_DAYS) > known]
    if open_ones:
        raise ValueError(f"cutoff {open_ones[0]}: its label ends after {known}; wanted cutoff + 90 days <= {known}")
    parts = []
    for cutoff in cutoffs:
        end = cutoff + timedelta(days=LABEL_DAYS)
        came = bought.filter(pl.col("day") > cutoff, pl.col("day") <= end).select("customer", "grp").unique()
        asked = pairs(bought, [cutoff], count=count)
        parts.append(asked.join(came.with_columns(y=pl.lit(1, dtype=pl.Int8)), on=["customer", "grp"], how="left"))
    return pl.concat(parts).select(*PAIR, pl.col("y").fill_null(0), "whitespace").sort("cutoff", "customer", "grp")


def features(bought: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """`asked` (customer, grp, cutoff, ...) with 27 columns known at each pair's cutoff; null where there is no answer.

    Of the pair and of the customer 8 each: active days in 30, 90, 180 and 365 days, days since the last and the first
    purchase, mean days between purchases, money of a year. Of the customer: groups bought of in a year, and how overdue
    (days since the last purchase over the mean gap). The pair's share of the customer's active days. Of the group: buyers
    in 30, 90, 180 and 365 days, the share of buyers of 90 days who bought in 30, and buyers of a year per account.
    The month of the cutoff, and the group's number.
    """
    return pl.concat([_at(bought, part, part["cutoff"][0]) for part in asked.partition_by("cutoff")])


def _at(bought: pl.DataFrame, asked: pl.DataFrame, cutoff: date) -> pl.DataFrame:
    past = _within(bought, cutoff).with_columns(age=(pl.lit(cutoff) - pl.col("day")).dt.total_days())
    days = past.group_by("customer", "grp", "age").agg(pl.col("money").sum())
    customer_days = days.group_by("customer", "age").agg(pl.col("money").sum())
    year = days.filter(pl.col("age") < YEAR)
    breadth = year.group_by("customer").agg(customer_groups=pl.col("grp").n_unique())
    buyers = past.group_by("grp").agg(
        pl.col("customer").filter(pl.col("age") < w).n_unique().alias(f"group_buyers_{w}") for w in WINDOWS
    )
    accounts = year["customer"].n_unique()
    tables = (
        (_visits(days, ["customer", "grp"], "pair"), ["customer", "grp"]),
        (_visits(customer_days, ["customer"], "customer"), ["customer"]),
        (breadth, ["customer"]),
        (buyers, ["grp"]),
    )
    wide = reduce(lambda frame, table: frame.join(table[0], on=table[1], how="left"), tables, asked)
    counted = [f"pair_days_{w}" for w in WINDOWS] + [f"group_buyers_{w}" for w in WINDOWS] + ["pair_money"]
    return wide.with_columns(pl.col(counted).fill_null(0)).with_columns(
        customer_overdue=pl.col("customer_recency") / pl.col("customer_gap"),
        pair_share=pl.col("pair_days_365") / pl.col("customer_days_365"),
        group_growth=pl.col("group_buyers_30") / pl.col("group_buyers_90"),
        group_share=pl.col("group_buyers_365") / accounts,
        month=pl.lit(cutoff.month, dtype=pl.Int32),
        group_code=pl.col("grp"),
    )


def _visits(days: pl.DataFrame, keys: list[str], name: str) -> pl.DataFrame:
    """From one row a key and active day (age: days before the cutoff)."""
    age: Any = pl.col("age")
    return days.group_by(keys).agg(
        *((age < w).sum().alias(f"{name}_days_{w}") for w in WINDOWS),
        age.min().alias(f"{name}_recency"),
        age.max().alias(f"{name}_tenure"),
        pl.when(pl.len() > 1).then((age.max() - age.min()) / (pl.len() - 1)).alias(f"{name}_gap"),
        pl.col("money").filter(age < YEAR).sum().alias(f"{name}_money"),
    )


def _within(bought: pl.DataFrame, cutoff: date, days: int | None = None) -> pl.DataFrame:
    """Purchases in (cutoff - days, cutoff]; all up to the cutoff without days."""
    past = bought.filter(pl.col("day") <= cutoff)
    return past if days is None else past.filter(pl.col("day") > cutoff - timedelta(days=days))


__all__ = ["features", "groups", "month_ends", "pairs", "purchases", "settled", "sold", "task"]
