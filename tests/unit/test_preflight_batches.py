"""Preflight of several batches: what it counts is what the lake will show, and a plain loop counts the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import naive_sources as naive
from foreproof.core.contract import parse_contract
from foreproof.core.preflight import Subject
from foreproof.core.preflight_batches import between, many_batches, one_batch
from foreproof.core.section import Section
from foreproof.core.table import parse
from foreproof.core.view import Table

NOW = datetime(2025, 1, 1, tzinfo=UTC)
CONTRACT = parse_contract(
    "sales",
    Section(
        {
            "key": ["item", "day"],
            "happened": "day",
            "known": "same_as_happened",
            "deleted": "gone",
            "columns": {
                "item": {"type": "text", "nullable": True},
                "units": {"type": "decimal", "nullable": True},
            },
        },
        path="tables.sales",
    ),
)
Row = tuple[str | None, int, int | None]


def table(rows: list[Row], *, gone: bool = False) -> Table:
    frame = pl.DataFrame(
        [(item, date(2024, 1, 1) + timedelta(days=day), units, gone) for item, day, units in rows],
        schema={"item": pl.String, "day": pl.Date, "units": pl.Int64, "gone": pl.Boolean},
        orient="row",
    )
    return parse(CONTRACT, frame, now=NOW)


def subject(first: Table) -> Subject:
    return Subject(first, first.rows, NOW)


def test_a_correction_in_a_later_batch_counts_instead_of_what_it_corrects() -> None:
    first, second = table([("a", 0, None), ("a", 1, 4), (None, 1, 2)]), table([("a", 0, 7)])
    assert [f.check for f in many_batches(subject(first), [first]) if f.column == "units"] == ["missing"]
    found = many_batches(subject(first), [first, second])
    assert [(f.check, f.column) for f in found if f.check == "missing"] == [("missing", "item")]
    back = many_batches(subject(second), [second, first])
    assert [f.column for f in back if f.check == "missing"] == ["item", "units"]


def test_a_deleted_row_is_not_counted() -> None:
    first, gone = table([("a", 0, None), ("a", 1, 4)]), table([("a", 0, None)], gone=True)
    found = many_batches(subject(first), [first, gone])
    assert [f for f in found if f.check == "missing"] == []


def test_rows_that_repeat_are_told_with_the_batch() -> None:
    raw = pl.DataFrame({"item": ["a", "a"], "day": ["2024-01-01"] * 2})
    (found,) = one_batch(Subject(table([("a", 0, 1)]), raw, NOW), "may.csv")
    assert found.found == "may.csv: 1 rows repeat another one in every column"


BATCHES = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)),
        st.one_of(st.none(), st.integers(0, 2)),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)


@given(BATCHES)
def test_keys_of_several_batches_are_counted_as_a_plain_loop_counts_them(
    batches: list[dict[tuple[str | None, int], int | None]],
) -> None:
    tables = [table([(item, day, units) for (item, day), units in batch.items()]) for batch in batches]
    rows = pl.concat(
        [each.rows.with_columns(pl.lit(i, dtype=pl.Int64).alias("_batch")) for i, each in enumerate(tables)]
    )
    keys, changed = naive.repeated_keys(batches)
    found = between(subject(tables[0]), rows.sample(fraction=1.0, shuffle=True, seed=1))
    assert [finding.figures for finding in found] == ([{"keys": keys, "changed": changed}] if keys else [])
    assert [finding.severity for finding in found] == (["warning" if changed else "info"] if keys else [])
