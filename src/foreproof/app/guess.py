"""A first plan from a user's file: every guess is written with what it was read off, for the user to mend."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from foreproof.adapters.sources import Files, read
from foreproof.adapters.sources.files import format_of
from foreproof.adapters.sources.text import Dialect
from foreproof.adapters.sources.unpack import unpack
from foreproof.core.clock import tick_values
from foreproof.core.grid import Grid, parse_grid
from foreproof.errors import BadInput

_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y-%m")
_TIMES = ("", " %H:%M:%S", "T%H:%M:%S", " %H:%M")
_TARGETS = ("y", "qty", "quantity", "units", "sales", "demand", "value", "amount", "count")
_DATES = ("ds", "date", "day", "week", "month", "time", "timestamp", "period")
_EVERY = ("1h", "1d", "1w", "1mo", "1q", "1y")


@dataclass(frozen=True, slots=True)
class FileStamp:
    """The stamp column, how it is written ("" for typed or integer), and its ticks."""

    column: str
    pattern: str
    every: str
    ticks: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def integer(self) -> bool:
        """Whether it counts steps."""
        return self.every == "integer"


def guess_plan(path: Path, *, now: datetime, url: str = "") -> str:
    """The text of a commented foreproof.yaml for a CSV, Parquet or Excel file with a date (or step) and a number.

    url: how the plan names the file, else its path.

    Raises SourceError for a file that cannot be read, BadInput where no column is a date or no column is a number.
    """
    source, raw = read_file(path)
    stamp = stamp_of(raw, str(path))
    numbers = {
        name: values for name in raw.columns if name != stamp.column and (values := numbers_of(raw[name])) is not None
    }
    target = target_of(numbers, raw, str(path))
    series = [name for name in raw.columns if name not in (stamp.column, target) and _names(raw[name], name in numbers)]
    decimals = decimals_of(raw[target], numbers[target])
    repeats = int(raw.select([*series, stamp.column]).is_duplicated().sum())
    summed = bool(repeats) or (decimals == 0 and float(numbers[target].min() or 0) >= 0)  # type: ignore[arg-type]
    periods = int(stamp.ticks.max() - stamp.ticks.min()) + 1
    horizon, origins, calibrations = _reach(stamp.every, periods)
    table = re.sub(r"\W+", "_", path.stem).strip("_").lower() or "facts"
    low = "low: 0, " if float(numbers[target].min() or 0) >= 0 else ""  # type: ignore[arg-type]
    columns = [f"      {word(name)}: text" for name in series]
    columns.append(f"      {word(target)}: {{type: decimal, decimals: {decimals}, {low}unit: {word(target)}}}")
    found = f"{raw.height} rows, {raw.select(series).n_unique() if series else 1} series, {periods} periods of {stamp.every}"
    gap = "zero" if summed and not stamp.integer else "missing"
    lines = [
        f"# Written by `foreproof new forecast` on {now:%Y-%m-%d}: {found}.",
        "# Lines marked GUESS were read off the file. Mend what is wrong; docs/plan.md explains every setting.",
        "schema: 1",
        f"name: {word(path.stem)}",
        "workload: forecast",
        "seed: 1",
        "",
        "sources:",
        f"  {table}: {flow(source_settings(source, url or str(path)))}    # GUESS: how the file is written",
        "",
        "tables:",
        f"  {table}:",
        f"    key: {key_of(series, stamp, bool(repeats))}    # GUESS: "
        + (f"{repeats} rows repeat, so a row is its own key" if repeats else "no two rows share it"),
        f"    happened: {flow(happened_of(stamp))}    # GUESS: when each fact took place",
        "    known: same_as_happened    # GUESS: readable at once; name a column or a delay if it is not",
        "    zone: UTC    # GUESS: whose days these are",
        "    columns:",
        *columns,
        "",
        "series:",
        f"  table: {table}",
        f"  by: [{', '.join(word(name) for name in series)}]    # GUESS: one series for each of these",
        f"  value: {word(target)}",
        f"  aggregate: {'sum' if summed else 'mean'}    # GUESS: how the rows of one period become one value",
        f"  every: {stamp.every}    # GUESS: the commonest step between rows",
        f"  gap: {gap}    # GUESS: what a period without rows is worth: zero, missing or carry",
        "",
        f"horizon: {horizon}    # GUESS: steps ahead",
        f"backtest: {{origins: {origins}, calibrations: {calibrations}}}    # as many as the history allows",
        "",
        "# For order quantities and their replay in money, give costs per unit:",
        f"# decision: {{cover: {horizon}, short: 2.0, over: 1.0, currency: money}}",
    ]
    return "\n".join(lines) + "\n"


def read_file(path: Path) -> tuple[Files, pl.DataFrame]:
    """The file as a source of its own, and its raw rows; BadInput for a file that is not there."""
    if not path.is_file():
        raise BadInput(str(path), found="no such file", wanted="a CSV, Parquet or Excel file", fix="check --data")
    if (kind := format_of(path.name)) != "csv":
        source = Files(str(path), kind)
        return source, read(source, folder=path.parent)
    body = unpack(str(path), path.read_bytes())
    encoding = _encoding(body)
    head = body.decode(encoding, errors="replace").lstrip("\ufeff").splitlines()[:50]
    delimiter = max(",;\t|", key=lambda mark: min((line.count(mark) for line in head if line), default=0))
    numbers = re.findall(r"(?<![\d.,])\d+([.,])\d{1,4}(?![\d.,])", "\n".join(head[1:]))
    decimal = "," if delimiter != "," and numbers.count(",") > numbers.count(".") else "."
    dialect = Dialect(delimiter, "," if decimal == "," else ".", encoding)
    source = Files(str(path), "csv", dialect)
    return source, read(source, folder=path.parent)


def _encoding(body: bytes) -> str:
    for encoding in ("utf-16",) if body[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "cp1252"):
        try:
            body.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def stamp_of(raw: pl.DataFrame, subject: str) -> FileStamp:
    """The first column that reads as dates; failing that, one of whole numbers that is named like a clock."""
    likely = sorted(raw.columns, key=lambda name: (name.lower() not in _DATES, raw.columns.index(name)))
    for name in likely:
        for pattern, read_as in _readings(raw[name]):
            every = _every(read_as, pattern)
            return FileStamp(name, pattern, every, parse_grid(every).index(tick_values(read_as)))
    for name in likely:
        steps = raw[name].cast(pl.String).str.strip_chars().cast(pl.Int64, strict=False)
        if name.lower() in (*_DATES, "t", "step") and not steps.null_count():
            return FileStamp(name, "", "integer", steps.to_numpy())
    raise BadInput(
        subject,
        found=f"no column of dates among {', '.join(raw.columns)}",
        wanted="dates such as 2024-06-30 in every row of one column, or whole steps in a column named ds",
        fix="write the dates in one format",
    )


def _readings(column: pl.Series) -> list[tuple[str, pl.Series]]:
    """(format, instants) where the whole column reads; day first wins over month first only where both read."""
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        at = column.cast(pl.Datetime("us"))
        return [("", at.dt.replace_time_zone("UTC") if at.dtype == pl.Datetime("us") else at)]
    if column.dtype != pl.String or column.null_count():
        return []
    for time in _TIMES:
        for day in _FORMATS:
            pattern = day + time
            text, wanted = (column + "-01", pattern + "-%d") if day == "%Y-%m" and not time else (column, pattern)
            read_as = (
                text.str.to_datetime(wanted, time_unit="us", strict=False)
                if time
                else text.str.to_date(wanted, strict=False)
            )
            if not read_as.null_count():
                return [(pattern, read_as.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))]
    return []


def _every(at: pl.Series, pattern: str) -> str:
    """The coarsest period in which no two stamps fall: the step of the data."""
    ticks = np.unique(tick_values(at))
    daily = "%H" not in pattern and bool(pattern)
    best = "1d" if daily else "1h"
    for every in _EVERY[1 if daily else 0 :]:
        grid = parse_grid(every)
        if len(np.unique(grid.index(ticks))) < len(ticks):
            break
        best = every
    return best if len(ticks) > 2 and _dense(parse_grid(best), ticks) else ("1d" if daily else "1h")


def _dense(grid: Grid, ticks: np.ndarray[Any, np.dtype[np.int64]]) -> bool:
    periods = grid.index(ticks)
    return bool(len(periods) >= 0.3 * (periods.max() - periods.min() + 1))


def numbers_of(column: pl.Series) -> pl.Series | None:
    """The column as numbers, None where it holds none."""
    if column.dtype == pl.Boolean:
        return None
    values = column.str.strip_chars().cast(pl.Float64, strict=False) if column.dtype == pl.String else column
    if not values.dtype.is_numeric() or values.null_count() > column.null_count():
        return None
    return values.cast(pl.Float64)


def target_of(numbers: Mapping[str, pl.Series], raw: pl.DataFrame, subject: str) -> str:
    """The number to predict: by its name, else the most varied one."""
    named = [name for wanted in _TARGETS for name in numbers if name.lower() == wanted]
    varied = sorted(numbers, key=lambda name: (numbers[name].n_unique(), raw.columns.index(name)))
    if not named and not varied:
        raise BadInput(
            subject,
            found=f"no column of numbers among {', '.join(raw.columns)}",
            wanted="one number to forecast",
            fix="check the decimal mark and the delimiter",
        )
    return named[0] if named else varied[-1]


def _names(column: pl.Series, numeric: bool) -> bool:
    """Whether a column names series: text, or whole numbers that repeat."""
    return (
        1 < column.n_unique() <= max(2, column.len() // 3)
        if numeric
        else column.n_unique() <= max(1, column.len() // 2)
    )


def decimals_of(raw: pl.Series, values: pl.Series) -> int:
    """How many decimals the numbers have, at most 6."""
    for decimals in range(7):
        scaled = values.drop_nulls() * 10**decimals
        if scaled.is_empty() or float((scaled - scaled.round()).abs().max() or 0.0) < 1e-6:  # type: ignore[arg-type,unused-ignore]
            return decimals
    return 6


def _reach(every: str, periods: int) -> tuple[int, int, int]:
    """Horizon, origins and calibrations that a history has room for."""
    usual = {"1h": 24, "1d": 28, "1w": 8, "1mo": 12, "1q": 4, "1y": 3}.get(every, 12)
    horizon = max(1, min(usual, periods // 8))
    room = periods // horizon - 2
    calibrations = max(1, min(3, room // 2))
    return horizon, max(1, min(4, room - calibrations)), calibrations


def happened_of(stamp: FileStamp) -> dict[str, Any]:
    """The contract's `happened`."""
    settings: dict[str, Any] = {"column": stamp.column}
    if stamp.pattern:
        settings["formats"] = [stamp.pattern]
    if stamp.integer or stamp.every in ("1w", "1mo", "1q", "1y"):
        settings["period"] = stamp.every
    return settings


def source_settings(source: Files, url: str) -> dict[str, Any]:
    """The plan's source."""
    settings: dict[str, Any] = {"url": url}
    if source.format == "csv":
        how = source.dialect
        settings |= {"delimiter": how.delimiter, "decimal": how.decimal, "encoding": how.encoding}
    return settings


def key_of(series: Sequence[str], stamp: FileStamp, repeats: bool) -> str:
    """The contract's key."""
    return "[]" if repeats else f"[{', '.join(word(name) for name in (*series, stamp.column))}]"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True).strip()


def word(text: str) -> str:
    """A text as YAML."""
    return flow(text).removesuffix("...").strip()


__all__ = [
    "FileStamp",
    "decimals_of",
    "flow",
    "guess_plan",
    "happened_of",
    "key_of",
    "numbers_of",
    "read_file",
    "source_settings",
    "stamp_of",
    "target_of",
    "word",
]
