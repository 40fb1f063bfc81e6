"""A folder of monthly files, one of them corrected later: each file is a batch, and no old view changes.

A shop writes one file a month. In April it finds that a day of February was counted wrongly, and puts a small file with the
right number beside the others. The folder is read again as a whole: what the lake has already changes nothing, the new file
supersedes one row, and a view as of March still shows what March knew.
"""

from __future__ import annotations

import gzip
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from foreproof.adapters.lake import Lake
from foreproof.adapters.sources import Reading, parse_source
from foreproof.core.contract import parse_contract
from foreproof.core.section import Section
from foreproof.core.table import columns_of, parse

CONTRACT = parse_contract(
    "sales",
    Section(
        {
            "key": ["shop", "day"],
            "happened": "day",
            "known": {"delay": "1d", "why": "the shop reports overnight"},
            "columns": {"shop": "text", "units": {"type": "decimal", "low": 0, "unit": "units a day"}},
        },
        path="tables.sales",
    ),
)
SOURCE = parse_source(Section({"url": "exports", "format": "csv"}, path="sources.sales"))


def month(first: date) -> str:
    """A file of one month: ten units a day, twelve at weekends."""
    days = [first + timedelta(days=i) for i in range(31) if (first + timedelta(days=i)).month == first.month]
    return "shop,day,units\n" + "".join(f"north,{day},{12 if day.weekday() > 4 else 10}\n" for day in days)


def load(lake: Lake, folder: Path, now: datetime) -> None:
    """Read every file of the folder, hold each against the contract, then write them in order."""
    reading = Reading(folder, columns_of(CONTRACT), now, lambda column: None, {}, folder / "cache")
    batches = [(batch.name, parse(CONTRACT, batch.frame, now=now)) for batch in SOURCE.batches(reading)]
    for name, table in batches:
        done = lake.load(table, source=name)
        words = "already loaded" if done.already_loaded else f"{done.added} added, {done.superseding} superseding"
        print(f"{now:%d %B}: {name}: {words}")


def main() -> None:
    """Load three months, then again with a correction, and look back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exports = folder / "exports"
        exports.mkdir()
        clock = [datetime(2024, 4, 2, 8, tzinfo=UTC), datetime(2024, 4, 9, 8, tzinfo=UTC)]
        lake = Lake(str(folder / "lake"), clock=lambda: clock[0])

        for number in (1, 2, 3):
            body = month(date(2024, number, 1)).encode()
            (exports / f"sales-2024-0{number}.csv.gz").write_bytes(gzip.compress(body))
        load(lake, folder, clock[0])

        (exports / "sales-2024-04-corrections.csv").write_text(
            "shop,day,units\nnorth,2024-02-14,25\n", encoding="utf-8"
        )
        clock.pop(0)
        load(lake, folder, clock[0])

        table = lake.table(CONTRACT)
        assert table.rows.height == 31 + 29 + 31 + 1, "nothing was overwritten"
        for when, units in ((datetime(2024, 3, 31, tzinfo=UTC), 10), (datetime(2024, 4, 10, tzinfo=UTC), 25)):
            seen = table.as_of(when)
            day = seen.filter(seen["_happened"].dt.date() == date(2024, 2, 14))
            assert day["units"].to_list() == [units]
            print(f"as of {when:%d %B}: 14 February had {units} units")
        print(lake.batches("sales").select("batch", "source", "rows", "added", "superseding"))


if __name__ == "__main__":
    main()
