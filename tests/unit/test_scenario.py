"""Scenarios: what they may change, what they must not, and an effect that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.core.plan import parse_plan
from foreproof.core.scenario import Override, Scenario, apply, check_scenario, parse_override, scenario_of
from foreproof.core.table import parse
from foreproof.core.view import Database, Table
from foreproof.engine.build import builder
from foreproof.engine.scale import quiet_bench
from foreproof.engine.scenario import compare, words_of
from foreproof.errors import BadInput
from foreproof.workloads.forecast import parse_forecast

CUTOFF, HORIZON, LIFT = 159, 6, 20.0
PLAN = """
schema: 1
name: promoted
workload: forecast
seed: 4
sources: {facts: {url: facts.csv}, promotions: {url: promotions.csv}}
tables:
  facts:
    key: [id, step]
    happened: {column: step, period: integer}
    known: same_as_happened
    columns: {id: text, y: {type: real, low: 0}}
  promotions:
    key: [id, step]
    happened: {column: step, period: integer}
    known: {lead: 30, why: planned}
    ahead: true
    columns: {id: text, deep: {type: decimal, decimals: 2, low: 0, high: 1}}
series: {table: facts, by: [id], value: y, every: integer, aggregate: last, gap: missing}
horizon: 6
season: 4
cutoff: 159
features: [{lag: [1, 2, 4]}, {ahead: promotions.deep, aggregate: max}]
models: [seasonal_naive, {boost: {trees: 60, least: 5}}]
backtest: {origins: 2, every: 6, calibrations: 3, examples: 16, stride: 6}
decision: {cover: 6, short: 2.0, over: 1.0, currency: euros}
"""


def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Six series whose demand rises by LIFT in steps with a promotion, planned at random until step 165."""
    rng = np.random.default_rng(7)
    facts, plans = [], []
    for i in range(6):
        for t in range(CUTOFF + HORIZON + 1):
            deep = 0.5 if rng.random() < 0.25 else 0.0
            if t > CUTOFF:
                deep = 0.0
            else:
                facts.append((f"s{i}", t, max(0.0, 100.0 + LIFT * (deep > 0) + rng.normal(0, 2))))
            plans.append((f"s{i}", t, deep))
    return (
        pl.DataFrame(facts, schema=["id", "step", "y"], orient="row"),
        pl.DataFrame(plans, schema=["id", "step", "deep"], orient="row"),
    )


def database() -> tuple[Any, Database]:
    plan = parse_forecast(parse_plan(PLAN))
    tables = {c.name: parse(c, frame, now=None) for c, frame in zip(plan.contracts, frames(), strict=True)}
    rows = {name: t.rows.with_columns(pl.lit(1, dtype=pl.Int64).alias("_batch")) for name, t in tables.items()}
    return plan, Database({name: Table(t.contract, rows[name]) for name, t in tables.items()})


PLANNED, DATA = database()


def scenario(*overrides: Override, name: str = "push") -> Scenario:
    return Scenario(name, "a planner", "to see", overrides or (Override("promotions", "deep", "set", 0.5, 3, 5),))


@given(
    change=st.sampled_from(["set", "add", "times"]),
    value=st.sampled_from([0.0, 0.25, 1.0]),
    first=st.integers(1, 6),
    length=st.integers(0, 5),
    series=st.sampled_from([(), (("id", ("s2",)),), (("id", ("s0", "s5")),)]),
)
def test_only_the_named_rows_of_the_coming_steps_change(
    change: Any, value: float, first: int, length: int, series: Any
) -> None:
    last = min(first + length, HORIZON)
    one = Override("promotions", "deep", change, value, first, last, series)
    other = apply(DATA, scenario(one), cutoff=CUTOFF, grid=PLANNED.task.series.grid)
    assert other["facts"] is DATA["facts"]
    names = dict(series).get("id", tuple(f"s{i}" for i in range(6)))
    seen = {}
    for cutoff in (CUTOFF - 40, CUTOFF - 1, CUTOFF):
        before, after = (d["promotions"].as_of(cutoff).sort("id", "_happened") for d in (DATA, other))
        if cutoff < CUTOFF:
            assert after.equals(before)
            continue
        seen = {(r["id"], r["_happened"]): r["deep"] for r in after.iter_rows(named=True)}
        for row in before.iter_rows(named=True):
            stored = row["deep"]
            if row["id"] in names and CUTOFF + first <= row["_happened"] <= CUTOFF + last:
                stored = {"set": value * 100, "add": stored + value * 100, "times": stored * value}[change]
            assert seen[row["id"], row["_happened"]] == round(stored)
        assert len(seen) == before.height


def test_a_promotion_where_none_was_planned_is_added() -> None:
    past = DATA["promotions"].rows.filter(pl.col("_happened") <= CUTOFF)
    empty = Database({**DATA.tables, "promotions": Table(DATA["promotions"].contract, past)})
    one = Override("promotions", "deep", "set", 0.5, 2, 3, (("id", ("s1",)),))
    other = apply(empty, scenario(one), cutoff=CUTOFF, grid=PLANNED.task.series.grid)
    new = other["promotions"].as_of(CUTOFF).filter(pl.col("_happened") > CUTOFF)
    assert new.select("id", "_happened", "deep").rows() == [("s1", CUTOFF + 2, 50), ("s1", CUTOFF + 3, 50)]
    for wrong in (Override("promotions", "deep", "times", 2.0, 2, 3), Override("promotions", "deep", "set", 0.5, 2, 3)):
        with pytest.raises(BadInput, match="no row for"):
            apply(empty, scenario(wrong), cutoff=CUTOFF, grid=PLANNED.task.series.grid)


def test_a_known_effect_is_found_with_an_interval_that_holds_it() -> None:
    one = Override("promotions", "deep", "set", 0.5, 3, 5, (("id", ("s1", "s4")),))
    found = compare(PLANNED, DATA, scenario(one), cutoff=CUTOFF, bench=quiet_bench())
    served = builder(PLANNED, quiet_bench())(DATA, (CUTOFF,), 4).forecasts.detail[CUTOFF]
    # The boosting member knows the lift; the seasonal naive, which reads no plan, does not.
    truth = 2 * 3 * LIFT * served.weights["boost"]
    assert found.effect.units == pytest.approx(truth, rel=0.35)
    assert found.effect.low < found.effect.units < found.effect.high
    moved = found.path.filter(pl.col("difference").abs() > 5.0)
    assert set(moved["id"]) == {"s1", "s4"}
    assert set(moved["step"]) == {3, 4, 5}
    assert found.effect.money is not None
    assert found.effect.money[0] == pytest.approx(2.0 * found.effect.units)
    assert float(found.orders["difference"].sum()) > 0.0
    assert found.support["as_extreme"][0] > 100
    assert "was seen in" in " ".join(words_of(found, currency="euros"))
    assert found.warnings == []


def test_what_was_never_seen_is_said() -> None:
    one = Override("promotions", "deep", "set", 0.9, 1, 6)
    found = compare(PLANNED, DATA, scenario(one), cutoff=CUTOFF, bench=quiet_bench())
    assert "0.9 or more was never seen" in found.warnings[0]


def test_an_override_that_changes_nothing_has_no_effect_at_all() -> None:
    one = Override("promotions", "deep", "add", 0.0, 1, 6)
    found = compare(PLANNED, DATA, scenario(one), cutoff=CUTOFF, bench=quiet_bench())
    assert found.effect.units == found.effect.low == found.effect.high == 0.0
    assert found.rows.equals(found.baseline_rows)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Override("nothing", "deep", "set", 0.5, 1, 2), "table"),
        (Override("facts", "y", "set", 0.5, 1, 2), "not ahead"),
        (Override("promotions", "id", "set", 0.5, 1, 2), "number column"),
        (Override("promotions", "deep", "set", 0.5, 5, 7), "within 1 to 6"),
        (Override("promotions", "deep", "set", 0.5, 3, 2), "within 1 to 6"),
        (Override("promotions", "deep", "set", 0.5, 0, 2), "within 1 to 6"),
        (Override("promotions", "deep", "set", 1.5, 1, 2), "at most 1"),
        (Override("promotions", "deep", "add", -0.5, 1, 2), "at least 0"),
    ],
)
def test_what_no_plan_could_say_is_refused(one: Override, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        compare(PLANNED, DATA, scenario(one), cutoff=CUTOFF, bench=quiet_bench())


def test_a_scenario_has_a_name_an_author_a_reason_and_a_change() -> None:
    good = (Override("promotions", "deep", "set", 0.5, 1, 2),)
    for name, author, reason, overrides in (
        ("", "a", "b", good), ("n", " ", "b", good), ("n", "a", "", good), ("n", "a", "b", ()),
    ):  # fmt: skip
        with pytest.raises(BadInput):
            Scenario(name, author, reason, overrides)
    made = scenario(Override("promotions", "deep", "times", 1.5, 2, 4, (("id", ("s1", "s2")),)))
    assert scenario_of(made.name, made.author, made.reason, made.as_json()) == made
    check_scenario(made, PLANNED.contracts, horizon=6)
    for values in (
        {"table": "t", "column": "c", "steps": [1]},
        {"table": "t", "column": "c", "set": 1, "add": 2, "steps": [1]},
    ):
        with pytest.raises(BadInput, match="one of set, add, times"):
            parse_override(values)
    with pytest.raises(BadInput, match="whole steps"):
        parse_override({"table": "t", "column": "c", "set": 1, "steps": [1.5, 2]})


def test_a_column_that_no_feature_reads_and_members_that_read_none_are_refused() -> None:
    blind = parse_forecast(parse_plan(PLAN.replace(", {ahead: promotions.deep, aggregate: max}", "")))
    with pytest.raises(BadInput, match="no feature reads"):
        compare(blind, DATA, scenario(), cutoff=CUTOFF, bench=quiet_bench())
    local = parse_forecast(parse_plan(PLAN.replace("{boost: {trees: 60, least: 5}}", "naive")))
    with pytest.raises(BadInput, match="none that reads features"):
        compare(local, DATA, scenario(), cutoff=CUTOFF, bench=quiet_bench())


def test_scenarios_are_kept_run_and_removed_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    for name, frame in zip(("facts", "promotions"), frames(), strict=True):
        frame.write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    run = CliRunner().invoke
    at = ["-C", str(tmp_path)]
    add = ["scenario", "add", "push", "--set", "promotions.deep=0.5", "--where", "id=s1,s4", "--steps", "3-5"]
    add += ["--author", "a planner", "--reason", "to see", *at]
    assert execute(open_project(tmp_path), progress=Silent(), until="load").error is None
    assert run(app, add, catch_exceptions=False).exit_code == 0
    listed = run(app, ["scenario", "list", *at], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert "a planner" in listed.output
    assert b"a planner" not in b"".join(open_project(tmp_path).catalog.leaves())
    ran = run(app, ["scenario", "run", "push", *at], catch_exceptions=False)
    assert "units over the horizon" in " ".join(ran.output.split())
    page = tmp_path / "scenarios" / "push" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "to see" in text
    assert pl.read_parquet(tmp_path / "scenarios" / "push" / "series.parquet").height == 6
    assert run(app, ["scenario", "remove", "push", *at], catch_exceptions=False).exit_code == 0
    assert isinstance(run(app, ["scenario", "run", "push", *at]).exception, BadInput)
    wrong = [*add[:3], "--set", "promotions.deep:0.5", *add[5:]]
    assert isinstance(run(app, wrong).exception, BadInput)
