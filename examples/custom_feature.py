"""A feature of your own: a Python function of a view, compiled beside declared features and under the same laws.

Makes purchases with returns that were booked later, asks at two cutoffs what each account bought (declared) and sends back (a
function), and shows that what was known later changes neither. In a plan the function is named
`custom: "my_features:returned"`, and the file `my_features.py` lies beside it.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import product

import polars as pl
from polars.testing import assert_frame_equal

from foreproof.core.contract import parse_contract
from foreproof.core.grid import parse_grid
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.core.view import Database, View
from foreproof.features import Custom, Events, Over, compile_pairs, population_of
from foreproof.features.registry import described, entry_of

LINES = {
    "key": ["account", "kind", "day", "what"],
    "happened": "day",
    "known": {"column": "booked"},
    "columns": {"account": "text", "kind": "text", "what": "text", "units": "integer"},
}
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def returned(view: View) -> pl.DataFrame:
    """The share of its units that an account sent back, in the rows that the view holds: no row known later can be here."""
    back = pl.col("units").filter(pl.col("what") == "return").sum()
    share = back / pl.col("units").filter(pl.col("what") == "sale").sum()
    return view["lines"].group_by("account", maintain_order=True).agg(share.alias("value"))


def purchases() -> pl.DataFrame:
    """Sales on every third day; the second account sends half of it back, which is booked twenty days later."""
    start, rows = date(2024, 1, 1), []
    for day in range(0, 90, 3):
        at = start + timedelta(days=day)
        for account, kind in product(("ann", "bob"), ("tea", "cups")):
            rows.append((account, kind, at, "sale", 4, at))
            if account == "bob":
                rows.append((account, kind, at, "return", 2, at + timedelta(days=20)))
    return pl.DataFrame(rows, schema=["account", "kind", "day", "what", "units", "booked"], orient="row")


def main() -> None:
    """Compile, compare with the truncated database, print."""
    table = parse(parse_contract("lines", Section(LINES, path="tables.lines")), purchases(), now=NOW)
    database, grid = Database({"lines": table}), parse_grid("1d")
    cutoffs = [grid.add(datetime(2024, month, 1, tzinfo=UTC), 0) for month in (1, 3)]
    pairs = pl.DataFrame(
        list(product(("ann", "bob"), ("cups", "tea"), cutoffs)), schema=["account", "kind", "cutoff"], orient="row"
    ).cast({"cutoff": pl.Datetime("us", "UTC")})

    sys.modules["my_features"] = sys.modules[__name__]  # stands for a file my_features.py beside a plan
    own = Custom("my_features:returned", family="returns", lag=0)
    sold = Over("sum", Events("lines", ("account",), keep=(("what", ("sale",)),)), "units", 28)
    features = (sold, own)
    for feature in features:
        print(described(feature.meta(28)))
        print(f"  in a plan: {entry_of(feature)}")

    whole = compile_pairs(database, population_of(pairs, ("account", "kind"), grid=grid), features, 28)
    print(whole)
    for cutoff in cutoffs:
        asked = population_of(pairs.filter(pl.col("cutoff") == cutoff), ("account", "kind"), grid=grid)
        then = compile_pairs(database.truncate(cutoff), asked, features, 28)
        assert_frame_equal(whole.filter(pl.col("cutoff") == cutoff), then, check_exact=True)

    bob = whole.filter(pl.col("account") == "bob", pl.col("kind") == "tea")[own.name].to_list()
    assert bob[0] == 0.0, "in January no return was booked yet, though some had been sent"
    assert 0.0 < bob[1] < 0.5, "in March those of the last twenty days were not"
    print(f"what bob sends back, as known at each cutoff: {bob[0]:.0%}, then {bob[1]:.0%}")


if __name__ == "__main__":
    main()
