"""An audit passes what is honest, and says of what is not: which feature, which row, and what it knew."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, scale

import foreproof
from foreproof import Dated, audit, by_row, learner
from foreproof.app.audit import Asked, show_audit
from foreproof.engine.frames import given, moment_of
from foreproof.errors import BadInput, ContractError, ForeproofError
from foreproof.gauntlet import Duplicates, Rebuild
from foreproof.testing import assert_causal, assert_causal_split

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(40)]
SALES = pl.DataFrame(
    {"sku": ["a"] * 40 + ["b"] * 40, "day": DAYS * 2, "y": np.random.default_rng(1).normal(size=80).round(3)}
)
STAMPS = SALES.with_columns(pl.col("day").cast(pl.Datetime("ns"))).to_pandas()
"""The same rows as pandas users have them: instants at midnight."""


def ahead(frame: pl.DataFrame, by: int) -> pl.DataFrame:
    return frame.with_columns(x=pl.col("y").shift(-by).over("sku", order_by="day"))


# What is found -------------------------------------------------------------------------------------------------------


def test_features_of_rows_that_look_back_pass() -> None:
    report = audit(lambda f: ahead(f, -3), SALES, time="day", entity="sku")
    assert report.ok, report.text
    assert [v.name for v in report.verdicts] == ["rebuild", "duplicates"]
    assert all(v.control_caught for v in report.verdicts)
    assert (report.features, report.found) == (("y", "x"), ())
    assert "audit passed" in report.text


@for_all(st.integers(1, 6), st.integers(8, 30))
def test_the_row_and_the_day_of_a_look_ahead_are_found_exactly(by: int, cut: int) -> None:
    report = audit(lambda f: ahead(f, by), SALES, [DAYS[cut]], time="day", entity="sku")
    (found,) = report.found
    assert not report.ok
    assert found.feature == "x"
    assert found.row == {"sku": "a", "day": str(DAYS[cut - by + 1])}
    assert found.knew == str(DAYS[cut + 1])  # that row reads the first day after the cutoff
    assert (found.on_past, found.rows) == ("None", 2 * by)
    assert float(found.on_all) == SALES["y"][cut + 1]


def test_a_function_of_a_cutoff_that_does_not_cut_is_found_with_the_last_row_that_it_knew() -> None:
    def honest(frame: pl.DataFrame, cutoff: date) -> pl.DataFrame:
        return frame.filter(pl.col("day") <= cutoff).group_by("sku").agg(pl.col("y").max())

    def hasty(frame: pl.DataFrame, cutoff: date) -> pl.DataFrame:
        return frame.group_by("sku").agg(pl.col("day").max().alias("last"))

    assert audit(honest, SALES, time="day", entity="sku").ok
    report = audit(hasty, SALES, [DAYS[20]], time="day", entity="sku")
    (found,) = report.found
    assert (found.feature, found.row, found.knew, found.on_past) == ("last", {"sku": "a"}, str(DAYS[-1]), str(DAYS[20]))


def test_the_table_that_was_read_ahead_is_named() -> None:
    tiers = pl.DataFrame(
        {"sku": ["a", "b", "a"], "since": [DAYS[0], DAYS[0], DAYS[30]], "tier": ["low", "low", "high"]}
    )
    tables = {"sales": Dated(SALES, time="day"), "tiers": Dated(tiers, time="since")}

    def as_of_today(frames: dict[str, pl.DataFrame], cutoff: date) -> pl.DataFrame:
        return frames["tiers"].group_by("sku", maintain_order=True).agg(pl.col("tier").last())

    report = audit(as_of_today, tables, [DAYS[10]], entity="sku")
    (found,) = report.found
    assert (found.table, found.knew, found.on_all, found.on_past) == ("tiers", str(DAYS[30]), "high", "low")
    assert "it knew a row of 2024-01-31 in tiers" in report.text


def test_a_correction_that_overwrites_history_shows_only_once_its_known_is_told() -> None:
    frame = SALES.with_columns(known=pl.col("day"))
    fixed = frame.filter(pl.col("day") == DAYS[10]).with_columns(y=pl.lit(99.0), known=pl.lit(DAYS[25]))
    corrected = pl.concat([frame, fixed])

    def newest(frame: pl.DataFrame, cutoff: date) -> pl.DataFrame:
        last = frame.sort("known", maintain_order=True).unique(["sku", "day"], keep="last", maintain_order=True)
        return last.filter(pl.col("day") <= cutoff).group_by("sku").agg(pl.col("y").max())

    # no clock says that it came later
    assert audit(newest, Dated(corrected, time="day"), [DAYS[20]], entity="sku").ok
    report = audit(newest, Dated(corrected, time="day", known="known"), [DAYS[20]], entity="sku")
    assert [found.knew for found in report.found] == [str(DAYS[25])]
    assert audit(newest, Dated(corrected, time="day", known="known"), [DAYS[30]], entity="sku").ok


def test_what_only_a_gap_shows_is_found_without_naming_cutoffs() -> None:
    frame = STAMPS[STAMPS.sku == "a"].set_index("day")["y"].rename("y")
    frame.iloc[17:19] = np.nan
    assert audit(lambda s: s.ffill(), frame).ok
    (found,) = audit(lambda s: s.bfill(), frame).found
    assert found.knew == str(DAYS[19])
    holes = frame.dropna()
    report = audit(lambda s: s.resample("D").asfreq().bfill().reindex(s.index).shift(1), holes)
    assert report.ok, report.text


def test_a_global_scale_is_found_in_every_kind_of_result() -> None:
    results: list[Any] = [
        lambda f: f.assign(z=scale(f["y"])),
        lambda f: pd.Series(scale(f["y"]), index=f.index, name="z"),
        lambda f: scale(f[["y"]]),
        lambda f: pd.DataFrame({"z": scale(f["y"])}, index=f.index).sample(frac=1.0, random_state=0),
        lambda f: f.set_index(["sku", "day"]).assign(z=lambda g: scale(g["y"]))[["z"]],
    ]
    for result in results:
        report = audit(result, STAMPS, [DAYS[20]], time="day", entity="sku")
        assert [found.knew for found in report.found] == [str(DAYS[-1])], report.text


def test_code_that_differs_from_run_to_run_is_told_to_take_a_seed() -> None:
    rng = np.random.default_rng(1)
    (found,) = audit(lambda f: rng.normal(size=f.height), SALES, [DAYS[20]], time="day", entity="sku").found
    assert found.knew == ""
    assert "two runs on the same rows differ" in found.words


def test_a_key_that_comes_twice_fails() -> None:
    frame = pl.concat([SALES, SALES.head(2)])
    keyed = audit(lambda f: f.select("y"), Dated(frame, time="day", key=("sku", "day")), entity="sku")
    assert [v.name for v in keyed.verdicts if v.outcome == "failed"] == ["duplicates"]
    assert audit(lambda f: f.select("y"), Dated(frame, time="day"), entity="sku").ok


def test_an_audit_whose_fault_is_cut_out_proves_nothing() -> None:
    class Toothless:
        name = "rebuild"
        control = staticmethod(lambda trial: trial)

        def __call__(self, trial: Any) -> Any:
            return Rebuild()(trial)

    report = audit(lambda f: ahead(f, -1), SALES, time="day", entity="sku", checks=(Toothless(), Duplicates()))
    assert [v.outcome for v in report.verdicts] == ["not proven", "passed"]
    assert not report.ok
    assert report.text.startswith("audit proved nothing: rebuild")


def test_the_page_needs_nothing_else_and_escapes_names() -> None:
    report = audit(
        lambda f: f.select(**{"<b>": pl.col("y").mean().over("sku")}), SALES, [DAYS[9]], time="day", entity="sku"
    )
    assert "&lt;b&gt;" in report.html
    assert "<b>: " not in report.html
    assert not any(word in report.html for word in ("<script", "http://", "https://"))


# Models --------------------------------------------------------------------------------------------------------------


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = STAMPS.assign(x1=rng.normal(size=80), x2=rng.normal(size=80))
    return frame.assign(y=(frame["x1"] + rng.normal(size=80) > 0).astype(int))


@pytest.mark.parametrize("frame", [rows(), pl.from_pandas(rows())], ids=["pandas", "polars"])
def test_a_pipeline_that_fits_on_settled_rows_passes_and_one_that_scales_what_it_is_asked_about_fails(
    frame: Any,
) -> None:
    honest = learner(make_pipeline(StandardScaler(), LogisticRegression()), target="y", horizon="3d")
    report = audit(honest, frame, [DAYS[20], DAYS[30]], time="day", entity="sku")
    assert report.ok, report.text
    assert [v.name for v in report.verdicts] == ["rebuild", "gap law", "overlap", "duplicates"]
    spoiled = learner(make_pipeline(FunctionTransformer(scale), Ridge()), target="y", horizon="3d")
    report = audit(spoiled, frame, [DAYS[20]], time="day", entity="sku")
    assert {found.knew for found in report.found} == {str(DAYS[-1])}


def test_a_learner_learns_from_settled_rows_only_and_is_judged_on_the_others() -> None:
    cutoff = moment_of(DAYS[30], zone="UTC")
    facts = given(rows(), time="day", entity="sku")
    built = learner(LogisticRegression(), target="y", horizon="5d").trial(facts, (cutoff,)).run()
    last = built.forecasts.manifest["example"].max()
    assert last == datetime(2024, 1, 26, tzinfo=UTC)
    assert built.labels["day"].min() == "2024-01-27"
    assert built.forecasts.predictions["value"].is_between(0, 1).all()
    assert built.labels.height == built.forecasts.predictions.height


def test_an_mlforecast_is_read_by_its_preprocess() -> None:
    from mlforecast import MLForecast
    from mlforecast.target_transforms import LocalStandardScaler

    series = STAMPS.rename(columns={"sku": "unique_id", "day": "ds"})
    honest = MLForecast(models=[Ridge()], freq="D", lags=[1, 7])
    assert audit(honest, series, [DAYS[25]], time="ds", entity="unique_id").ok
    scaled = MLForecast(models=[Ridge()], freq="D", lags=[1], target_transforms=[LocalStandardScaler()])
    report = audit(scaled, series, [DAYS[25]], time="ds", entity="unique_id")
    assert {found.feature for found in report.found} == {"y", "lag1"}


# Splits --------------------------------------------------------------------------------------------------------------


def test_splits_in_time_pass_and_shuffled_ones_fail() -> None:
    one = STAMPS[STAMPS.sku == "a"]
    assert_causal_split(TimeSeriesSplit(3), one, time="day")
    assert_causal_split(TimeSeriesSplit(3, gap=4), one, time="day", horizon="5d")
    assert_causal_split(lambda f: (f[f.day < "2024-02-01"], f[f.day >= "2024-02-01"]), STAMPS, time="day", entity="sku")
    for spoiled in (KFold(3, shuffle=True), lambda f: train_test_split(f, random_state=1)):
        with pytest.raises(AssertionError, match="split: the labels of"):
            assert_causal_split(spoiled, one, time="day")


def test_a_label_that_settles_within_the_test_rows_needs_a_gap() -> None:
    one = SALES.filter(pl.col("sku") == "a")
    with pytest.raises(AssertionError, match=r"judged from 2024-01-11 on .* settle up to 2024-01-14"):
        assert_causal_split(lambda f: (range(10), range(10, 40)), one, time="day", horizon="4d")
    assert_causal_split(lambda f: (range(7), range(10, 40)), one, time="day", horizon="4d")


def test_an_entity_on_both_sides_is_refused_where_it_is_asked() -> None:
    def by_time(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        return frame.filter(pl.col("day") < DAYS[20]), frame.filter(pl.col("day") >= DAYS[20])

    assert_causal_split(by_time, SALES, time="day", entity="sku")
    with pytest.raises(AssertionError, match="2 entities are in training and test"):
        assert_causal_split(by_time, SALES, time="day", entity="sku", apart=True)
    assert_causal_split(
        lambda f: [(f["sku"] == "a").to_numpy() & (f["day"] < DAYS[20]).to_numpy(), np.arange(60, 80)],
        SALES, time="day", entity="sku", apart=True,
    )  # fmt: skip


# Frames come back as they were given ---------------------------------------------------------------------------------


def motley() -> pl.DataFrame:
    stamps = [datetime(2024, 1, 1, 9) + timedelta(hours=7 * i) for i in range(6)]
    return pl.DataFrame(
        {
            "id": pl.Series(["b", "a", None, "a", "c", "b"], dtype=pl.Categorical),
            "at": stamps,
            "small": pl.Series([1, 2, None, 4, 5, 6], dtype=pl.Int16),
            "large": pl.Series([2**60 + i for i in range(6)], dtype=pl.Int64),
            "x": [0.1, float("nan"), 3.0, 4.0, 5.0, 6.0],
            "z": [0.1, None, 3.0, 4.0, 5.0, 6.0],
            "seen": [True, None, False, True, True, False],
            "due": [s + timedelta(days=2) for s in stamps],
            "took": [timedelta(minutes=i) for i in range(6)],
            "nothing": [None] * 6,
            "day": [s.date() for s in stamps],
        }
    )


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [3, 0, 5, 2, 1, 4]])
def test_a_polars_frame_comes_back_as_it_was_given(order: list[int]) -> None:
    frame = motley()[order]
    for clock in (
        pl.col("at"),
        pl.col("at").dt.replace_time_zone("Europe/Berlin"),
        pl.col("at").dt.to_string("%Y-%m-%d %H:%M:%S"),
    ):
        made = frame.with_columns(clock.alias("at"))
        facts = given(made, time="at")
        assert facts.frames(facts.database).equals(made, null_equal=True)
        assert facts.frames(facts.database).schema == made.schema
    facts = given(frame.with_columns(at=pl.int_range(6, dtype=pl.Int32)), time="at")
    assert facts.frames(facts.database).equals(frame.with_columns(at=pl.int_range(6, dtype=pl.Int32)))


def test_a_pandas_frame_comes_back_with_its_types_and_its_index() -> None:
    frame = motley().drop("took", "nothing").to_pandas()
    frames = [frame, frame.set_index("at"), frame.set_index(["id", "at"]), frame.astype({"small": "Int16"})]
    for made in frames:
        facts = given(made, time="at")
        pd.testing.assert_frame_equal(facts.frames(facts.database), made)
    series = frame.set_index("at")["x"]
    facts = given(series)
    pd.testing.assert_series_equal(facts.frames(facts.database), series)


def test_constant_tables_are_whole_at_every_cutoff_also_on_a_clock_of_steps() -> None:
    steps = pl.DataFrame({"t": range(30), "y": range(30)})
    tables = {"steps": Dated(steps, time="t"), "sizes": Dated(pl.DataFrame({"size": [3]}), constant="a law of nature")}
    seen: list[int] = []

    def features(frames: dict[str, pl.DataFrame], cutoff: int) -> pl.DataFrame:
        seen.append(frames["sizes"].height)
        return frames["steps"].filter(pl.col("t") <= cutoff).select(pl.col("y").max())

    assert audit(features, tables, [10, 20]).ok
    assert set(seen) == {1}


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: audit(ahead, SALES), "nothing that says when a row happened"),
        (lambda: audit(ahead, SALES, time="date"), "no column 'date'"),
        (lambda: audit(ahead, {}), "tables: none"),
        (lambda: audit(ahead, 3, time="day"), "a int"),
        (lambda: audit(lambda a, b, c: a, SALES, time="day"), "a function of 3 arguments"),
        (lambda: audit(3, SALES, time="day"), "a int; wanted a function"),
        (lambda: audit(Ridge(), SALES, time="day"), "a Ridge without a target"),
        (lambda: audit(by_row(lambda f: f), SALES, [date(2020, 1, 1)], time="day"), "moments within the history"),
        (lambda: audit(by_row(lambda f: f), SALES, [DAYS[-1]], time="day"), "moments within the history"),
        (lambda: audit(by_row(lambda f: f), SALES, [3], time="day"), "dates or instants"),
        (lambda: audit(by_row(lambda f: f), SALES, ["soon"], time="day"), "'soon'"),
        (lambda: audit(by_row(lambda f: f.head(3)), SALES, time="day"), "3 rows of features for 80 rows"),
        (lambda: audit(by_row(lambda f: "x"), SALES, time="day"), "a str"),
        (lambda: audit(lambda f, c: f.select("y"), SALES, time="day", entity="sku"), "features without sku"),
        (lambda: audit(by_row(lambda f: f), SALES.head(2), time="day"), "2 moments"),
        (lambda: audit(by_row(lambda f: f), SALES.with_columns(_known=1), time="day"), "a column _known"),
        (lambda: audit(by_row(lambda f: f), SALES.with_columns(z=[[1]] * 80), time="day"), "List"),
        (lambda: audit(learner(Ridge(), target="z"), SALES, time="day"), "no column 'z'"),
        (lambda: learner(Ridge(), target="y", horizon="soon"), "'soon'"),
        (lambda: assert_causal_split(3, SALES, time="day"), "a int; wanted a splitter"),
        (lambda: assert_causal_split(lambda f: ([], [1]), SALES, time="day"), "no split with training and test rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_audited_is_refused_in_words(call: Any, words: str) -> None:
    with pytest.raises(BadInput) as error:
        call()
    assert words in str(error.value)


def test_a_time_that_would_not_come_back_is_refused() -> None:
    with pytest.raises(ForeproofError):
        given(SALES.with_columns(pl.col("day").dt.to_string("%d.%m.%Y")), time="day")
    nanoseconds = pl.DataFrame({"at": pl.Series([1, 2, 3]).cast(pl.Datetime("ns")), "y": [1, 2, 3]})
    with pytest.raises(ContractError, match="cannot be read back exactly"):
        given(nanoseconds, time="at")


# Tests and the command line ------------------------------------------------------------------------------------------


def test_assert_causal_names_feature_row_and_date() -> None:
    assert_causal(lambda f: ahead(f, -1), SALES, time="day", entity="sku")
    with pytest.raises(AssertionError, match=r"x: .* \(sku a, day 2024-01-11\); it knew a row of 2024-01-12"):
        assert_causal(lambda f: ahead(f, 1), SALES, time="day", entity="sku", cutoffs=[DAYS[10]])


def test_the_plugin_gives_fixtures_at_the_cutoffs_of_the_option(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nforeproof_cutoffs = 12\n", encoding="utf-8")
    (tmp_path / "test_mine.py").write_text(
        "import polars as pl\n"
        "frame = pl.DataFrame({'t': range(30), 'y': range(30)})\n"
        "def test_honest(assert_causal):\n    assert_causal(lambda f: f.select(x=pl.col('y').shift(1)), frame, time='t')\n"
        "def test_leak(assert_causal):\n    assert_causal(lambda f: f.select(x=pl.col('y').shift(-1)), frame, time='t')\n"
        "def test_split(assert_causal_split):\n    assert_causal_split(lambda f: (range(9), range(9, 30)), frame, time='t')\n",
        encoding="utf-8",
    )
    # without the plugins that happen to be installed, ours among them
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "foreproof.pytest_plugin",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "AssertionError: x: 13.0 on all data, None without what came after 12 (t 12)" in done.stdout


def test_the_plugin_and_the_package_import_nothing_heavy() -> None:
    code = "import foreproof, foreproof.pytest_plugin, sys; print({'polars', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert callable(foreproof.audit)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        foreproof.nothing  # noqa: B018


PROGRAM = """
import sys
import polars as pl
folder, out, *cutoff = sys.argv[1:]
frame = pl.read_csv(folder + "/sales.csv", try_parse_dates=True)
if cutoff:
    frame.filter(pl.col("day").cast(pl.String) <= cutoff[0]).group_by("sku").agg(pl.col("y").max()).write_parquet(out)
else:
    frame.with_columns(mean=pl.col("y").mean().over("sku")).write_parquet(out)
"""


def test_a_program_is_audited_and_the_exit_code_says_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    SALES.write_csv(tables / "sales.csv")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    call = f'"{sys.executable}" "{tmp_path / "program.py"}" {{tables}} {{out}}'
    clocks = {"time": ["day"]}
    honest = Asked(f"{call} {{cutoff}}", tables, ("2024-02-05",), clocks, ("sku",))
    assert show_audit(honest, None) == 0
    assert (
        show_audit(Asked(call, tables, ("2024-02-05",), {"time": ["sales=day"]}, ("sku",)), tmp_path / "page.html") == 1
    )
    assert "mean: " in capsys.readouterr().out
    assert "What looked ahead" in (tmp_path / "page.html").read_text(encoding="utf-8")
    for spoiled, words in (
        (Asked("python my.py", tables, (), clocks, ()), "{tables} and {out}"),
        (Asked("no-such-program {tables} {out}", tables, (), clocks, ()), "a program that starts"),
        (
            Asked(f'"{sys.executable}" -c "raise SystemExit(3)" {{tables}} {{out}}', tables, (), clocks, ()),
            "exit code 3",
        ),
        (Asked(f'"{sys.executable}" -c "" {{tables}} {{out}}', tables, (), clocks, ()), "no file at {out}"),
        (Asked(call, tmp_path / "nowhere", (), clocks, ()), "one file a table"),
        (Asked(call, tables, (), {"time": ["orders=day"]}, ()), "--time: orders=day"),
        (Asked(call, tables, (), {"time": ["day"], "constant": ["sales"]}, ()), "--constant: sales"),
        (Asked(call, tables, (), clocks, (), rows="orders"), "--rows: orders"),
    ):
        with pytest.raises(BadInput) as error:
            show_audit(spoiled, None)
        assert words in str(error.value)
        assert error.value.exit_code == 2
