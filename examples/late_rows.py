"""Late rows and corrections: what a table said at any moment in the past can still be asked.

A shop reports its sales one or more days late, and corrects one of them a week later. The contract names the column that
says when a row could first be read, so a view at a cutoff holds what was known then and nothing else. The same question is
asked in Python (`as_of`) and in SQL (`--as-of` on the command line).
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime

import polars as pl

from foreproof.adapters.lake import Lake
from foreproof.adapters.query import query
from foreproof.core.contract import parse_contract
from foreproof.core.grid import parse_grid, parse_moment
from foreproof.core.section import Section
from foreproof.core.table import parse

CONTRACT = {
    "key": ["shop", "day"],
    "happened": {"column": "day", "formats": ["%Y-%m-%d"]},
    "known": {"column": "reported", "formats": ["%Y-%m-%d"]},
    "columns": {"shop": "text", "units": {"type": "decimal", "low": 0, "unit": "units a day"}},
}

FIRST = """
shop  day         reported    units
north 2024-03-01  2024-03-02  10
north 2024-03-02  2024-03-03  12
north 2024-03-03  2024-03-08  11
"""
SECOND = """
shop  day         reported    units
north 2024-03-02  2024-03-10  21
north 2024-03-03  2024-03-08  11
"""


def rows(text: str) -> pl.DataFrame:
    """A small table as a frame of text, as a CSV file would give it."""
    header, *lines = (line.split() for line in text.strip().splitlines())
    return pl.DataFrame(lines, schema=dict.fromkeys(header, pl.String), orient="row")


def main() -> None:
    """Load two batches, then look at the table as it was on two evenings."""
    contract = parse_contract("sales", Section(CONTRACT, path="tables.sales"))
    grid = parse_grid("1d")
    # The clock is an argument: each load happens at a moment of our choice.
    clock = [datetime(2024, 3, 9, 8, tzinfo=UTC), datetime(2024, 3, 11, 8, tzinfo=UTC)]

    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, clock=lambda: clock[0])
        first = lake.load(parse(contract, rows(FIRST), now=clock[0]), source="first.csv")
        assert (first.batch, first.added) == (1, 3)

        again = lake.load(parse(contract, rows(FIRST), now=clock[0]), source="first.csv")
        assert again.already_loaded, "the same batch twice changes nothing"

        clock.pop(0)
        second = lake.load(parse(contract, rows(SECOND), now=clock[0]), source="second.csv")
        assert (second.added, second.superseding, second.unchanged) == (0, 1, 1), "one row says something new"

        table = lake.table(contract)
        assert table.rows.height == 4, "nothing was overwritten: three rows and one newer version"

        for evening, units in (("2024-03-05", {1: 10, 2: 12}), ("2024-03-11", {1: 10, 2: 21, 3: 11})):
            cutoff = parse_moment(evening, grid, subject="cutoff")  # the last microsecond of that day
            seen = table.as_of(cutoff).sort("_happened")
            assert dict(zip(seen["_happened"].dt.day(), seen["units"], strict=True)) == units

            sql = "SELECT shop, CAST(_happened AS DATE) AS day, units, _known, _batch FROM sales ORDER BY day"
            asked = query(lake, [contract], sql, as_of=cutoff)
            assert asked["units"].to_list() == list(units.values()), "SQL and Python agree"
            print(f"as of the evening of {evening}:\n{asked}\n")

        versions = query(lake, [contract], "SELECT units, _known, _batch FROM sales_versions ORDER BY _known, _batch")
        print(f"every version:\n{versions}")
        # The correction says that it was known on 10 March, but it came on the 11th: it counts from then on.
        newest = versions.row(-1, named=True)
        assert (newest["units"], newest["_known"]) == (21, clock[0])


if __name__ == "__main__":
    main()
