"""Training and serving are one path, and what a cutoff serves does not depend on what was learned about it later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreproof.app.progress import Silent
from foreproof.core.model import Fitted, Past
from foreproof.core.plan import plan_of
from foreproof.core.trial import Built
from foreproof.core.view import Database, Table
from foreproof.engine.build import builder
from foreproof.engine.line import Bench, line_of
from foreproof.errors import BadInput
from foreproof.features.compile import compile_rows
from foreproof.gauntlet.rebuild import difference
from foreproof.models.naive import SeasonalNaive
from foreproof.workloads.forecast import ForecastPlan, parse_forecast

PLAN = {
    "schema": 1,
    "name": "law",
    "workload": "forecast",
    "tables": {
        "sales": {
            "key": ["sku", "t"],
            "happened": {"column": "t", "period": "integer"},
            "known": {"column": "known"},
            "columns": {"sku": "text", "y": {"type": "decimal", "low": 0}},
        }
    },
    "series": {"table": "sales", "by": ["sku"], "value": "y", "every": "integer", "gap": "zero"},
    "horizon": 3,
    "season": 4,
    "models": ["seasonal_naive"],
    "backtest": {"origins": 2, "calibrations": 2, "every": 3, "examples": 4, "stride": 2},
}
KEYS = ["sku", "cutoff", "step"]


class Memory:
    """A step store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, pl.DataFrame]] = {}

    def get(self, key: str) -> Mapping[str, pl.DataFrame] | None:
        return self.kept.get(key)

    def put(self, key: str, frames: Mapping[str, pl.DataFrame]) -> None:
        self.kept[key] = frames


def plan(**changes: object) -> ForecastPlan:
    return parse_forecast(plan_of({**PLAN, **changes}))


def build(parsed: ForecastPlan, database: Database, cutoffs: tuple[int, ...]) -> Built:
    return builder(parsed, Bench(Memory(), 1, Silent()))(database, cutoffs, 1)  # type: ignore[arg-type]


@st.composite
def databases(draw: st.DrawFn) -> Database:
    """Three series over forty steps; some rows are late, some corrected, some deleted."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{i}", int(rng.integers(0, 30)), t, t + int(rng.integers(0, 4)), 1, False)
        for i in range(3)
        for t in range(40)
    ]
    for _ in range(draw(st.integers(0, 25))):
        sku, _, t, known, _, _ = rows[int(rng.integers(0, 120))]
        rows.append((sku, int(rng.integers(0, 30)), t, known + int(rng.integers(0, 9)), 2, bool(rng.random() < 0.3)))
    unique = {(sku, t, batch): (sku, y, t, known, batch, gone) for sku, y, t, known, batch, gone in rows}
    columns = ["sku", "y", "_happened", "_known", "_batch", "_deleted"]
    contract = plan().contracts[0]
    return Database({"sales": Table(contract, pl.DataFrame(list(unique.values()), schema=columns, orient="row"))})


@given(database=databases(), cutoff=st.sampled_from([28, 31, 34]))
@settings(max_examples=15)
def test_a_cutoff_serves_the_same_whatever_became_known_later(database: Database, cutoff: int) -> None:
    whole = build(plan(), database, (cutoff, 36))
    cut = build(plan(), database.truncate(cutoff), (cutoff,))
    at = pl.col("cutoff") == cutoff
    assert difference(whole.entities.filter(at), cut.entities, ["sku", "cutoff"]) is None
    assert difference(whole.rows.filter(at), cut.rows, KEYS) is None
    ours, theirs = whole.forecasts, cut.forecasts
    assert difference(ours.predictions.filter(at), theirs.predictions, [*KEYS, "level"]) is None
    assert difference(ours.manifest.filter(at), theirs.manifest, ["role", "example", "step"]) is None


@dataclass(frozen=True)
class Watcher:
    """The seasonal naive, who also looks at all that it is given to learn from."""

    name: str = "seasonal_naive"
    reads_rows: bool = True

    def fit(self, past: Past, *, seed: int) -> Fitted:
        examples = past.make_rows()
        assert isinstance(past.cutoff, int)
        assert past.target["period"].max() <= past.cutoff  # type: ignore[operator]
        assert examples.is_empty() or (examples["cutoff"] + examples["step"]).max() <= past.cutoff  # type: ignore[operator]
        return SeasonalNaive().fit(past, seed=seed)


@given(database=databases())
@settings(max_examples=15)
def test_no_model_is_given_a_row_or_label_from_after_its_cutoff(database: Database) -> None:
    parsed = replace(plan(), models=(Watcher(),))
    built = build(parsed, database, (34, 36))
    assert built.forecasts.predictions.height > 0


@given(database=databases())
@settings(max_examples=10)
def test_the_rows_of_an_example_are_the_rows_that_were_served_then(database: Database) -> None:
    parsed = plan()
    alone = compile_rows(database, parsed.task.series, parsed.features, [30], 3)
    among = compile_rows(database, parsed.task.series, parsed.features, [22, 26, 30, 34], 3)
    assert difference(alone, among.filter(pl.col("cutoff") == 30), KEYS) is None


def test_the_line_of_a_cutoff_holds_settled_origins_only_and_says_when_there_is_none() -> None:
    line = line_of(plan(delay=2, series={**PLAN["series"], "gap": "carry"}), (30,), 0)
    assert line.splits[30].calibrate == (21, 24)
    assert all(example < t for t, examples in line.examples.items() for example in examples)  # type: ignore[operator]
    with pytest.raises(BadInput, match="no earlier origin"):
        line_of(plan(), (3,), 0)
