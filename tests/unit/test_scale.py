"""Chunks: whole series, one pure function, bounded work, and going on after a kill."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
from typer.testing import CliRunner

from foreproof.adapters.parts import PartFolder
from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.app.scale import scale
from foreproof.core.contract import parse_contract
from foreproof.core.plan import parse_plan
from foreproof.core.table import parse
from foreproof.core.view import Database, Table
from foreproof.engine.build import builder
from foreproof.engine.scale import ChunkForecast, chunkable, forecast_parts, quiet_bench, wide
from foreproof.errors import BadInput, PlanError
from foreproof.workloads.forecast import parse_forecast

SERIES, POINTS = 12, 60
PROGRAM = "from foreproof.app.cli import main; main()"
PLAN = """
schema: 1
name: many
workload: forecast
sources: {facts: {url: facts.csv}}
tables:
  facts:
    key: [id, step]
    happened: {column: step, period: integer}
    known: same_as_happened
    columns: {id: text, y: {type: real, low: 0}}
series: {table: facts, by: [id], value: y, every: integer, aggregate: last, gap: missing}
horizon: 4
season: 4
levels: [0.05, 0.5, 0.95]
models: [seasonal_naive, naive]
backtest: {origins: 4, every: 4, calibrations: 2, examples: 1}
proof: {coverage: 0.9}
"""


def given() -> pl.DataFrame:
    """Ids are text with gaps in their alphabet, so that order of names and order of rows differ."""
    rows = [
        (f"s{(i * 7) % SERIES:02d}", t, 50.0 + 5 * i + 9 * (t % 4) + ((i + 3) * t * t) % 11)
        for t in range(POINTS)
        for i in range(SERIES)
    ]
    return pl.DataFrame(rows, schema=["id", "step", "y"], orient="row")


def facts() -> pl.DataFrame:
    contract = parse_contract("facts", parse_plan(PLAN).root().section("tables").section("facts"))
    return parse(contract, given(), now=None).rows.with_columns(pl.lit(1, dtype=pl.Int64).alias("_batch"))


def forecast() -> ChunkForecast:
    return ChunkForecast(parse_plan(PLAN).text(), POINTS - 1, {})


def dataset(rows: pl.DataFrame) -> Any:
    return pa.dataset.dataset(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def project(folder: Path, plan: str = PLAN) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    given().write_csv(folder / "facts.csv")
    return folder


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "forecasts").glob("*.parquet"))}


def test_a_chunk_gives_what_the_one_path_gives_on_its_series() -> None:
    plan = parse_forecast(parse_plan(PLAN))
    database = Database({"facts": Table(plan.contracts[0], facts().sort("_happened", "id"))})
    expected = wide(plan, builder(plan, quiet_bench())(database, (POINTS - 1,), 1).forecasts.predictions)
    found = forecast()(facts().to_arrow())
    assert pl.from_arrow(found).equals(expected)  # type: ignore[union-attr]
    assert found.num_rows == SERIES * 4
    assert found.column_names == ["id", "cutoff", "step", "at", "value", "q0.05", "q0.5", "q0.95"]


def test_the_function_is_pure_it_pickles_and_the_order_of_rows_changes_nothing() -> None:
    again = pickle.loads(pickle.dumps(forecast()))
    shuffled = facts().sample(fraction=1.0, shuffle=True, seed=5)
    assert again(shuffled.to_arrow()).equals(forecast()(facts().to_arrow()))


@pytest.mark.parametrize("size", [1, 5, 100])
def test_every_series_lies_whole_in_one_part_whatever_the_order_of_rows(tmp_path: Path, size: int) -> None:
    heard: list[int] = []
    parts = PartFolder(tmp_path / "a")
    names = parts.spill(dataset(facts()), ["id"], size, on_rows=heard.append)
    frames = {name: pl.DataFrame(pl.from_arrow(parts.read(name))) for name in names}
    whole = pl.concat([frame.with_columns(part=pl.lit(name)) for name, frame in frames.items()])
    assert (
        whole.drop("part")
        .sort("id", "_happened")
        .equals(facts().sort("id", "_happened").select(whole.drop("part").columns))
    )
    assert whole.group_by("id").agg(pl.col("part").n_unique())["part"].unique().to_list() == [1]
    assert sum(heard) == parts.counts()["rows"] == SERIES * POINTS
    other = PartFolder(tmp_path / "b")
    assert other.spill(dataset(facts().reverse()), ["id"], size, on_rows=heard.append) == names
    for name in names:
        same = pl.DataFrame(pl.from_arrow(other.read(name)))
        assert same.sort("id", "_happened").equals(frames[name].sort("id", "_happened"))


def test_done_parts_are_not_forecast_again(tmp_path: Path) -> None:
    parts = PartFolder(tmp_path)
    names = parts.spill(dataset(facts()), ["id"], 3, on_rows=lambda rows: None)
    forecast_parts(forecast(), parts, names, workers=1, progress=Silent())
    before = {name: parts.result(name).stat().st_mtime_ns for name in names}
    parts.result(names[1]).unlink()
    forecast_parts(forecast(), parts, names, workers=1, progress=Silent())
    after = {name: parts.result(name).stat().st_mtime_ns for name in names}
    assert [name for name in names if before[name] != after[name]] == [names[1]]


def test_two_processes_give_the_bytes_of_one(tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        parts = PartFolder(tmp_path / str(workers))
        names = parts.spill(dataset(facts()), ["id"], 4, on_rows=lambda rows: None)
        forecast_parts(forecast(), parts, names, workers=workers, progress=Silent())
        found.append({name: parts.digest(name) for name in names})
    assert found[0] == found[1]


def test_no_facts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no facts"):
        PartFolder(tmp_path).spill(dataset(facts().clear()), ["id"], 4, on_rows=lambda rows: None)
    assert not list(tmp_path.iterdir())


def test_a_plan_that_needs_all_series_at_once_is_refused() -> None:
    plan = parse_forecast(parse_plan(PLAN))
    assert chunkable(plan) is plan
    top = parse_forecast(parse_plan(PLAN.replace("gap: missing}", "gap: missing, top: {count: 3}}")))
    with pytest.raises(PlanError, match="ranked over all series"):
        chunkable(top)
    loose = replace(plan, contracts=(replace(plan.contracts[0], key=("step",)),))
    with pytest.raises(PlanError, match=r"series\.by"):
        chunkable(loose)


def test_the_command_forecasts_proves_a_part_and_logs_every_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    said: dict[str, str] = {}
    folder = project(tmp_path / "p")
    for words in (["load"], ["scale", "--chunk", "5"], ["log", "verify"]):
        ended = CliRunner().invoke(app, [*words, "-C", str(folder)], catch_exceptions=False)
        said[words[0]] = " ".join(capsys.readouterr().out.split() + ended.output.split())
        # The naive members hardly beat the baseline: a part that fails its proof sets the exit code.
        assert ended.exit_code in ((0, 1) if words[0] == "scale" else (0,)), said
    assert f"{SERIES} series in" in said["scale"]
    assert "rebuild: passed" in said["scale"]
    done = scale(open_project(folder), chunk=5, proof=True, progress=Silent())
    assert set(done.manifest["parts"]) == {name.removesuffix(".parquet") for name in results(done.folder)}
    # Facts are kept for the tried part alone.
    assert [path.stem for path in (done.folder / "facts").iterdir()] == [done.manifest["proof"]["part"]]


def test_a_call_that_was_killed_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    folders = [project(tmp_path / name) for name in ("whole", "killed")]
    environment = {**os.environ, "FOREPROOF_WORKERS": "1"}
    command = [sys.executable, "-c", PROGRAM, "scale", "--chunk", "1", "--no-proof", "-C"]
    for folder in folders:
        execute(open_project(folder), progress=Silent(), until="load")
    # The call that nobody kills, in this process.
    scale(open_project(folders[0]), chunk=1, proof=False, progress=Silent())
    victim = subprocess.Popen([*command, str(folders[1])], env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while time.monotonic() < until and not list(folders[1].glob("forecasts/*/forecasts/*.parquet")):
        time.sleep(0.005)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    subprocess.run([*command, str(folders[1])], check=True, capture_output=True, env=environment)
    one, other = (results(next(folder.glob("forecasts/*"))) for folder in folders)
    assert one == other
    assert len(one) > 3


def test_what_was_not_loaded_or_is_no_chunk_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with pytest.raises(BadInput, match="no data"):
        scale(open_project(folder), chunk=5, proof=False, progress=Silent())
    with pytest.raises(BadInput, match="--chunk"):
        scale(open_project(folder), chunk=0, proof=False, progress=Silent())
    assert not (folder / "forecasts").exists()
