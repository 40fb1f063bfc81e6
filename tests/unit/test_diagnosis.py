"""The diagnosis of a plan in sentences: each says what was planted, and what cannot be tested is said to be so."""

from __future__ import annotations

import polars as pl
import pytest

from foreproof.core.plan import parse_plan
from foreproof.core.trial import Built, Forecasts
from foreproof.engine.backtest import Scored
from foreproof.engine.diagnose import Diagnosis, diagnose
from foreproof.workloads.forecast import ForecastPlan, parse_forecast

PLAN = """
schema: 1
name: counted
workload: forecast
tables:
  sales:
    key: [id, step]
    happened: {column: step, period: integer}
    known: same_as_happened
    columns: {id: text, y: {type: real}}
series: {table: sales, by: [id], value: y, every: integer}
horizon: 4
season: 4
models: [seasonal_naive, theta]
"""


@pytest.fixture(scope="module")
def plan() -> ForecastPlan:
    return parse_forecast(parse_plan(PLAN))


def judged(errors: dict[str, float], *, origins: int = 12, series: int = 3, y: float = 10.0) -> pl.DataFrame:
    """Errors of each model: the number given, times one that changes with series, origin and step and has mean 1."""
    rows = [
        {
            "id": f"s{i}", "cutoff": 4 * o, "step": s, "level": None, "model": model, "target": 4 * o + s, "y": y,
            "value": y + size * (1 + 0.5 * (-1) ** (i + o * (s + 1) + s // 2)),
        }
        for model, size in errors.items()
        for i in range(series)
        for o in range(origins)
        for s in range(1, 5)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"level": pl.Float64})


def diagnosed(plan: ForecastPlan, points: pl.DataFrame) -> Diagnosis:
    empty = pl.DataFrame()
    scored = Scored(overall=empty, by_step=empty, by_series=empty, coverage=empty, against=None, judged=points)
    rows = points.select("id", "cutoff", "step").unique(maintain_order=True)
    return diagnose(plan, scored, Built(empty, rows, empty, lambda: Forecasts(empty, empty, empty)))


def said(diagnosis: Diagnosis) -> dict[str, tuple[str, str]]:
    return {topic: (verdict, words) for topic, verdict, words in diagnosis.findings.drop("place").iter_rows()}


def test_bias_of_the_combination_and_a_better_member_are_said(plan: ForecastPlan) -> None:
    found = said(diagnosed(plan, judged({"combination": 2.0, "theta": 0.1, "seasonal_naive": 2.5})))
    verdict, words = found["mean zero"]
    assert verdict == "look"
    assert words.startswith("forecast - truth is 2 in the mean, too high")
    verdict, words = found["parts of the error"]
    assert verdict == "look"
    assert words.startswith("80.0% of the squared error is bias")
    verdict, words = found["against the members"]
    assert verdict == "look"
    assert words == "beats 1 of 2 members after Holm over 3 pairs (seasonal_naive); is beaten by theta"
    assert set(found) == {
        *("autocorrelation, one step", "autocorrelation, consecutive", "mean zero", "variance by step"),
        *("parts of the error", "by series", "against the members"),
    }, "an integer grid has no weekdays"


def test_what_too_little_data_cannot_say_is_not_tested(plan: ForecastPlan) -> None:
    found = said(diagnosed(plan, judged({"combination": 1.0, "theta": 2.0}, origins=1, series=1)))
    assert {topic for topic, (verdict, _) in found.items() if verdict == "not tested"} == {
        *("autocorrelation, one step", "autocorrelation, consecutive", "mean zero", "variance by step"),
        "against the members",
    }
    assert found["against the members"][1] == "losses on 4 target days; wanted at least 8"
    assert found["parts of the error"][0] == "fine", "four rows ask for no look"


def test_no_error_at_all_is_said_and_breaks_nothing(plan: ForecastPlan) -> None:
    diagnosis = diagnosed(plan, judged({"combination": 0.0, "theta": 0.0}))
    found = said(diagnosis)
    assert found["parts of the error"] == ("fine", "no error at all")
    assert found["mean zero"][0] == "fine"
    assert found["against the members"][1].startswith("beats 0 of 1 members")
    zeros = said(diagnosed(plan, judged({"combination": 0.0, "theta": 1.0}, y=0.0)))
    assert zeros["against the members"][0] == "not tested", "a series of zeros has no size to divide by"
    assert zeros["variance by step"][0] == "not tested"


def test_errors_that_explode_with_the_step_ask_for_a_look(plan: ForecastPlan) -> None:
    steep = judged({"combination": 1.0}).with_columns(value=10 + (pl.col("value") - 10) * pl.col("step") ** 2)
    verdict, words = said(diagnosed(plan, steep))["variance by step"]
    assert verdict == "look"
    assert words.startswith("error variance grows as step ^ 3.7")
    assert said(diagnosed(plan, steep))["against the members"] == ("not tested", "one model alone")
