"""What changed between two runs, and by how much: plan, data, environment, scores, verdicts, features, forecasts, orders."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from foreproof.app.history import manifest
from foreproof.app.project import Project
from foreproof.core.plan import flat
from foreproof.core.predict import CUTOFF, LEVEL, STEP, VALUE
from foreproof.errors import BadInput

_TEXT = {"setting": pl.String, "a": pl.String, "b": pl.String}


@dataclass(frozen=True, slots=True)
class Difference:
    """B against A, as frames; one without rows means no difference.

    settings: `setting`, `a`, `b`: the plans' settings that differ, by dotted path; likewise data (digests of tables) and
    environment (seed, commit, libraries). verdicts: `check`, `a`, `b`. scores: `model`, `metric`, `a`, `b`, `change`.
    features: `feature`, `rows` (in both), `changed`, `share`, `largest`; one that only a run has holds nulls. forecasts: entity
    columns, `a`, `b`, `change`, `share`: sums of the points over the moments that both predict, largest change first. path: `at`,
    `a`, `b`: sums over series. orders: entity columns, `a`, `b`, `change`.
    """

    a: str
    b: str
    settings: pl.DataFrame
    data: pl.DataFrame
    environment: pl.DataFrame
    verdicts: pl.DataFrame
    scores: pl.DataFrame
    features: pl.DataFrame
    forecasts: pl.DataFrame
    path: pl.DataFrame
    orders: pl.DataFrame

    @property
    def words(self) -> list[str]:
        """One sentence for each thing that was compared."""
        said = [
            _said("settings of the plan differ", self.settings.height),
            _said("tables hold other data", self.data.height),
            _said("parts of the environment differ", self.environment.height),
            _said("verdicts differ", self.verdicts.filter(pl.col("a") != pl.col("b")).height),
            _said("features differ", self.features.filter(pl.col("changed").fill_null(1) > 0).height),
        ]
        if self.path.height:
            a, b = float(self.path["a"].sum()), float(self.path["b"].sum())
            moved = f"{(b - a) / abs(a):+.1%}" if a else "from zero"
            said.append(f"Over the {self.path.height} moments that both predict, all series together: {moved}.")
        else:
            said.append("The two runs predict no moment in common.")
        return said


def diff(project: Project, first: str, second: str) -> Difference:
    """Compare two runs by id, or the beginning of one. Raises BadInput where a run or its tables are not there."""
    a, b = manifest(project, first), manifest(project, second)
    one, other = project.runs / str(a["run"]), project.runs / str(b["run"])
    for folder in (one, other):
        if not (folder / "plan_resolved.yaml").is_file():
            raise BadInput(f"run {folder.name}", found="no files", wanted=f"the folder {folder.name} under runs")
    forecasts = _table(one, "forecast"), _table(other, "forecast")
    return Difference(
        a=str(a["run"]),
        b=str(b["run"]),
        settings=_settings(_plan(one), _plan(other)),
        data=_settings(a["data"], b["data"]),
        environment=_settings(_environment(a), _environment(b)),
        verdicts=_outer([{v["name"]: v["outcome"] for v in m["verdicts"]} for m in (a, b)], "check"),
        scores=_scores(_table(one, "scores"), _table(other, "scores")),
        features=_features(_table(one, "features"), _table(other, "features")),
        forecasts=_forecasts(*forecasts),
        path=_path(*forecasts),
        orders=_orders(_table(one, "orders"), _table(other, "orders")),
    )


def plan_lines(project: Project, difference: Difference) -> list[str]:
    """The two plans as a unified diff."""
    one, other = (
        (project.runs / run / "plan_resolved.yaml").read_text(encoding="utf-8").splitlines()
        for run in (difference.a, difference.b)
    )
    return list(difflib.unified_diff(one, other, difference.a, difference.b, lineterm="", n=1))


def _said(what: str, count: int) -> str:
    return f"{count} {what}." if count else f"No {what}."


def _plan(folder: Path) -> Mapping[str, Any]:
    found = yaml.safe_load((folder / "plan_resolved.yaml").read_text(encoding="utf-8"))
    return dict(found)


def _environment(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: found["environment"].get(name) for name in ("commit", "python", "machine", "libraries", "lock")}
    return {"seed": found["seed"], **kept, "cutoff": found["cutoff"]}


def _settings(a: Any, b: Any) -> pl.DataFrame:
    """What differs, leaf by leaf."""
    one, other = flat(a), flat(b)
    rows = [(name, one.get(name, "-"), other.get(name, "-")) for name in dict.fromkeys((*one, *other))]
    return pl.DataFrame([row for row in rows if row[1] != row[2]], schema=_TEXT, orient="row")


def _outer(sides: Sequence[Mapping[str, str]], name: str) -> pl.DataFrame:
    a, b = sides
    rows = [(key, a.get(key, "-"), b.get(key, "-")) for key in dict.fromkeys((*a, *b))]
    return pl.DataFrame(rows, schema={name: pl.String, "a": pl.String, "b": pl.String}, orient="row")


def _table(folder: Path, name: str) -> pl.DataFrame | None:
    path = folder / "tables" / f"{name}.parquet"
    return pl.read_parquet(path) if path.is_file() else None


def _scores(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame:
    schema = {"model": pl.String, "metric": pl.String, "a": pl.Float64, "b": pl.Float64, "change": pl.Float64}
    if a is None or b is None:
        return pl.DataFrame(schema=schema)
    keys = ["model", "metric"]
    joined = a.select(*keys, pl.col("value").alias("a")).join(
        b.select(*keys, pl.col("value").alias("b")), on=keys, how="full", coalesce=True, maintain_order="left_right"
    )
    return joined.with_columns((pl.col("b") - pl.col("a")).alias("change")).sort(keys)


def _features(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame:
    """Each feature over the rows that both runs have."""
    schema = {
        "feature": pl.String, "rows": pl.Int64, "changed": pl.Int64, "share": pl.Float64, "largest": pl.Float64,
    }  # fmt: skip
    if a is None or b is None:
        return pl.DataFrame(schema=schema)
    index = _index(a, b, last=STEP)
    names = list(dict.fromkeys([*a.columns, *b.columns]))
    joined = a.join(b, on=index, how="inner", suffix=" of b")
    rows: list[tuple[Any, ...]] = []
    for name in (one for one in names if one not in index):
        if name not in a.columns or name not in b.columns or a.schema[name] != b.schema[name]:
            rows.append((name, joined.height, None, None, None))
            continue
        left, right = joined[name], joined[f"{name} of b"]
        changed = int((~left.eq_missing(right)).sum())
        gap = (right - left).abs().max() if left.dtype.is_numeric() else None
        share = changed / joined.height if joined.height else 0.0
        rows.append((name, joined.height, changed, share, None if gap is None else float(gap)))  # type: ignore[arg-type]
    return pl.DataFrame(rows, schema=schema, orient="row").sort("changed", descending=True, nulls_last=False)


def _index(a: pl.DataFrame, b: pl.DataFrame, *, last: str) -> list[str]:
    """The columns up to and with `last` that both have: entity, cutoff, step."""
    if last not in a.columns:
        return []
    return [name for name in a.columns[: a.columns.index(last) + 1] if name in b.columns]


def _points(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    kept = [column for column in frame.columns if column not in (CUTOFF, STEP, LEVEL, VALUE)]
    return frame.filter(pl.col(LEVEL).is_null()).select(*kept, pl.col(VALUE).alias(name))


def _both(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame | None:
    """Points of the series and moments that both predict: entity columns, `at`, `a`, `b`; None where they cannot be matched."""
    if a is None or b is None:
        return None
    one, other = _points(a, "a"), _points(b, "b")
    keys = [name for name in one.columns if name != "a"]
    if keys != [name for name in other.columns if name != "b"] or one["at"].dtype != other["at"].dtype:
        return None
    return one.join(other, on=keys, how="inner").sort(keys)


def _forecasts(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame:
    both = _both(a, b)
    if both is None:
        return pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float64, "change": pl.Float64, "share": pl.Float64})
    entity = [name for name in both.columns if name not in ("at", "a", "b")]
    sums = (
        both.group_by(entity, maintain_order=True).agg(pl.col("a", "b").sum())
        if entity
        else both.select("a", "b").sum()
    )
    return _changed(sums).sort(pl.col("change").abs(), descending=True, maintain_order=True)


def _path(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame:
    both = _both(a, b)
    if both is None:
        return pl.DataFrame(schema={"at": pl.Int64, "a": pl.Float64, "b": pl.Float64})
    return both.group_by("at", maintain_order=True).agg(pl.col("a", "b").sum()).sort("at")


def _orders(a: pl.DataFrame | None, b: pl.DataFrame | None) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float64, "change": pl.Float64, "share": pl.Float64})
    if a is None or b is None:
        return empty
    keys = [name for name in a.columns[: a.columns.index(CUTOFF)] if name in b.columns]
    if not keys:
        return empty
    joined = a.select(*keys, pl.col("order").alias("a")).join(b.select(*keys, pl.col("order").alias("b")), on=keys)
    return _changed(joined).sort(pl.col("change").abs(), descending=True, maintain_order=True)


def _changed(sums: pl.DataFrame) -> pl.DataFrame:
    change = pl.col("b") - pl.col("a")
    share = pl.when(pl.col("a") != 0).then(change / pl.col("a").abs())
    return sums.with_columns(change.alias("change"), share.alias("share"))


__all__ = ["Difference", "diff", "plan_lines"]
