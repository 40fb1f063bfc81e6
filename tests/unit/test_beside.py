"""What an audit is given beside a pipeline: labels have to start after the cutoff, tables have to be those first loaded."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pytest

import foreproof
from foreproof import Dated, audit, beside
from foreproof.errors import BadInput
from foreproof.gauntlet.starts import Starts

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(40)]
PRICES = pl.DataFrame(
    {
        "asset": ["a"] * 40 + ["b"] * 40,
        "day": DAYS * 2,
        "close": [10.0 + (7 * i % 11) / 4 for i in range(40)] + [20.0 + (5 * i % 13) / 4 for i in range(40)],
    }
)
CUTS = [DAYS[15], DAYS[28]]


def signal(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("asset", "day", up=pl.col("close").diff().over("asset", order_by="day") > 0)


def closes(frame: pl.DataFrame, cutoff: date, first: int) -> pl.DataFrame:
    """The gain from the first-th close after the cutoff (0: the last one up to it) to the next one."""
    after = frame.sort("asset", "day").with_columns(n=(pl.col("day") > cutoff).cum_sum().over("asset"))
    at = [after.filter(pl.col("n") == k).group_by("asset", maintain_order=True).last() for k in (first, first + 1)]
    both = at[0].join(at[1], on="asset", suffix="_next")
    return both.select("asset", y=pl.col("close_next") / pl.col("close") - 1)


def verdict(labels: Any, frame: Any = PRICES, fn: Any = signal) -> Any:
    report = audit(beside(fn, labels=labels), frame, CUTS, time="day", entity="asset")
    assert [one.name for one in report.verdicts] == ["rebuild", "intervals", "duplicates"]
    assert all(one.outcome == "passed" for one in report.verdicts if one.name != "intervals"), report.text
    return report.verdicts[1]


def test_an_outcome_that_begins_at_the_close_which_the_signal_read_is_found_and_one_from_the_next_is_not() -> None:
    own = verdict(lambda frame, cutoff: closes(frame, cutoff, 0))
    assert (own.outcome, own.control_caught) == ("failed", True)
    assert own.evidence["column"] == "y"
    assert own.evidence["row"]["asset"] == "a"
    assert "begin before it" in own.words
    later = verdict(lambda frame, cutoff: closes(frame, cutoff, 1))
    assert (later.outcome, later.control, later.control_caught) == ("passed", "last_rows", True)


def test_the_row_of_the_cutoff_may_say_who_is_asked_but_not_what_came_of_it() -> None:
    def rows(frame: pd.DataFrame, cutoff: pd.Timestamp, lag: int) -> pd.DataFrame:
        by = frame.sort_values(["asset", "day"]).groupby("asset")["close"]
        made = frame.assign(y=by.shift(-1 - lag) / by.shift(-lag) - 1)
        return made.loc[made["day"] == cutoff.normalize(), ["asset", "y"]]

    frame = PRICES.with_columns(pl.col("day").cast(pl.Datetime("ns"))).to_pandas()

    def up(given: pd.DataFrame) -> pd.Series:
        return given.groupby("asset")["close"].diff() > 0

    assert verdict(lambda f, at: rows(f, at, 0), frame, up).outcome == "failed"
    assert verdict(lambda f, at: rows(f, at, 1), frame, up).outcome == "passed"


def test_a_count_that_takes_the_last_rows_in_is_found_without_any_number() -> None:
    def counted(frame: pl.DataFrame, cutoff: date, strict: bool) -> pl.DataFrame:
        come = pl.col("day") > cutoff if strict else pl.col("day") >= cutoff
        inside = frame.filter(come & (pl.col("day") <= cutoff + timedelta(days=5)))
        return inside.group_by("asset", maintain_order=True).agg(y=pl.len())

    visits = PRICES.drop("close")

    def features(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(age=pl.int_range(pl.len()).over("asset"))

    assert verdict(lambda f, at: counted(f, at, False), visits, features).outcome == "failed"
    assert verdict(lambda f, at: counted(f, at, True), visits, features).outcome == "passed"


def test_labels_of_which_nothing_can_be_said_prove_nothing() -> None:
    def looked_up(frame: pl.DataFrame, cutoff: date) -> pl.DataFrame:
        here = frame.filter(pl.col("day") == cutoff)
        if here.is_empty():
            raise KeyError(cutoff)
        return here.select("asset", y=pl.lit(1.0))

    visits = PRICES.drop("close").with_columns(pl.lit("x").alias("kind"))
    report = audit(beside(lambda f: f["kind"], labels=looked_up), visits, CUTS, time="day", entity="asset")
    assert report.verdicts[1].outcome == "not proven"
    assert "hold no number to change" in report.verdicts[1].words
    none = audit(
        beside(signal, labels=lambda f, at: closes(f, at, 1).clear()), PRICES, CUTS, time="day", entity="asset"
    )
    assert none.verdicts[1].outcome == "not proven"
    assert not none.ok


def test_labels_without_a_number_called_y_are_refused() -> None:
    with pytest.raises(BadInput, match="a column y of numbers"):
        audit(beside(signal, labels=lambda f, at: f.select("asset").unique()), PRICES, CUTS, time="day", entity="asset")


def test_the_check_of_labels_needs_its_fault_like_every_other() -> None:
    class Toothless(Starts):
        control = staticmethod(lambda trial: trial)  # type: ignore[assignment]

    report = audit(
        beside(signal, labels=lambda f, at: closes(f, at, 1)),
        PRICES,
        CUTS,
        time="day",
        entity="asset",
        checks=(Toothless(),),
    )
    assert [one.outcome for one in report.verdicts] == ["not proven"]


# Tables as first loaded -----------------------------------------------------------------------------------------------


def test_a_pipeline_that_reads_the_rows_first_loaded_passes_and_one_on_restated_rows_is_told_which() -> None:
    same = audit(beside(signal, logged=PRICES.reverse()), PRICES, CUTS, time="day", entity="asset")
    assert same.ok, same.text
    assert [one.name for one in same.verdicts] == ["rebuild", "duplicates", "as logged"]
    adjusted = PRICES.with_columns(
        pl.when(pl.col("day") < DAYS[20]).then(pl.col("close") / 2).otherwise(pl.col("close"))
    )
    tables = {"prices": Dated(adjusted, time="day", key=("asset", "day"))}
    logged = {"prices": Dated(PRICES, time="day", key=("asset", "day"))}
    report = audit(beside(lambda f, at: last(f["prices"], at), logged=logged), tables, CUTS, entity="asset")
    assert [one.name for one in report.verdicts if one.outcome == "failed"] == ["as logged"]
    words = "prices.close of asset a on 2024-01-01: the log says 10, the pipeline reads 5; 40 rows differ"
    assert report.verdicts[-1].words.startswith(words)


def last(frame: pl.DataFrame, cutoff: date) -> pl.DataFrame:
    seen = frame.filter(pl.col("day") <= cutoff).sort("asset", "day")
    return seen.group_by("asset", maintain_order=True).agg(pl.col("close").last())


def test_rows_dated_as_if_they_had_been_there_are_found_by_the_clock_of_the_log() -> None:
    late = PRICES.with_columns(seen=pl.col("day") + pl.duration(days=3))
    on_time = late.with_columns(seen=pl.col("day"))

    def dated(frame: pl.DataFrame) -> dict[str, Dated]:
        return {"prices": Dated(frame, time="day", known="seen", key=("asset", "day"))}

    report = audit(
        beside(lambda f, at: last(f["prices"], at), logged=dated(late)), dated(on_time), CUTS, entity="asset"
    )
    assert "known since 2024-01-04 by the log, since 2024-01-01 as the pipeline reads it" in report.text


def test_tables_of_which_nothing_was_logged_are_taken_as_they_are_and_unknown_ones_are_refused() -> None:
    tables = {"prices": Dated(PRICES, time="day"), "assets": Dated(PRICES.select("asset").unique(), constant="names")}
    built = beside(lambda f, at: last(f["prices"], at), logged={"prices": Dated(PRICES, time="day")})
    assert audit(built, tables, CUTS, entity="asset").ok
    with pytest.raises(BadInput, match="a table 'quotes'"):
        audit(beside(signal, logged={"quotes": Dated(PRICES, time="day")}), PRICES, CUTS, time="day", entity="asset")


def test_what_stands_beside_is_found_from_the_package() -> None:
    assert foreproof.beside is beside
    assert beside(signal).learns is False
