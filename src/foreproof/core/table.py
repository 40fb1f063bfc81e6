"""Parse at the edge, trust inside: raw rows become a `Table` only if they keep their contract.

Casting says which rows it refuses; nulls, bounds, allowed words and the key are pandera checks on the eager frame (a lazy
frame would silently skip them). Every error carries the table, the column, the first rows and the fix.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

import polars as pl

from foreproof.core.clock import INSTANT, Moment, literal, negated, shifted, tick_values, time_column
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, OCCURRENCE, Column, Contract, Stamp
from foreproof.core.grid import parse_grid
from foreproof.core.view import Table
from foreproof.errors import ContractError

CONSTANT_SINCE = datetime(1, 1, 1, tzinfo=UTC)
"""Since when a table that is declared constant is known."""
_TRUE, _FALSE = ("true", "yes", "1", "t", "y"), ("false", "no", "0", "f", "n")
_SHOWN = 5
_EXACT = 2**53
_ROW = "_row"


def parse(contract: Contract, frame: Any, *, now: Moment | None, batch: int = 0) -> Table:
    """A table from raw rows: polars or pandas, text or typed; columns that the contract does not name are ignored.

    now: nothing may be known later (None: not checked). batch: the number that the lake will replace.
    Raises ContractError with the column and the first rows (1-based, the header not counted).
    """
    raw = as_polars(frame)
    _check_columns(contract, raw)
    if raw.is_empty():
        raise ContractError(contract.name, found="no rows", wanted="at least one", fix="check the file, or its header")
    raw = raw.with_row_index(_ROW, offset=1)
    columns = [_cast(contract, column, raw) for column in contract.columns]
    happened = _happened(contract, raw)
    parsed = pl.DataFrame([raw[_ROW], *columns, happened]).with_columns(
        _known(contract, raw, happened), pl.lit(batch, dtype=pl.Int64).alias(BATCH), _deleted(contract, raw)
    )
    _check_clocks(contract, parsed, now)
    parsed = _duplicates(contract, parsed)
    _check_values(contract, parsed)
    order = [*(column.name for column in contract.columns), HAPPENED, KNOWN, BATCH, DELETED]
    if not contract.key:
        order.append(OCCURRENCE)
    return Table(contract, parsed.select(order))


def as_polars(frame: Any) -> pl.DataFrame:
    """A polars frame from a polars or pandas one."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    found: pl.DataFrame = pl.from_pandas(frame)
    return found


def columns_of(contract: Contract) -> tuple[str, ...]:
    """The raw columns that a contract reads."""
    stamps = [contract.happened.column] if contract.happened else []
    stamps += [contract.known.column] if contract.known.kind == "column" else []
    stamps += [contract.deleted] if contract.deleted else []
    return tuple(dict.fromkeys([*(column.source for column in contract.columns), *stamps]))


def _check_columns(contract: Contract, raw: pl.DataFrame) -> None:
    wanted = columns_of(contract)
    missing = [name for name in wanted if name not in raw.columns]
    if missing:
        raise ContractError(
            contract.name,
            found=f"no column {', '.join(missing)} among {', '.join(raw.columns)}",
            wanted=", ".join(wanted),
            fix="check the delimiter and the header, or name the file's column with source:",
            column=missing[0],
        )


def _cast(contract: Contract, column: Column, raw: pl.DataFrame) -> pl.Series:
    found = raw[column.source]
    match column.type:
        case "text":
            made = found.cast(pl.String)
        case "integer":
            made = _number(contract, column, found, whole=True).cast(pl.Int64)
        case "decimal":
            made = _scaled(contract, column, found)
        case "real":
            made = _number(contract, column, found, whole=False)
        case "flag":
            made = _flag(contract, column, found)
        case "date":
            made = found if found.dtype == pl.Date else found.cast(pl.String).str.to_date("%Y-%m-%d", strict=False)
            _refuse(
                contract, column.source, found, made.is_null() & found.is_not_null(), wanted="a date such as 2024-06-30"
            )
        case _:
            assert_never(column.type)
    return made.alias(column.name)


def _number(contract: Contract, column: Column, found: pl.Series, *, whole: bool) -> pl.Series:
    words = "a whole number" if whole else "a number"
    text = found.str.strip_chars() if found.dtype == pl.String else found
    made = text.cast(pl.Int64 if whole and text.dtype == pl.String else pl.Float64, strict=False)
    bad = made.is_null() & found.is_not_null()
    if made.dtype == pl.Float64:
        bad |= ~made.is_finite().fill_null(True)
        if whole:
            bad |= (made != made.round()).fill_null(False)
    _refuse(contract, column.source, found, bad, wanted=words)
    return made


def _scaled(contract: Contract, column: Column, found: pl.Series) -> pl.Series:
    """Exact Int64: what does not come out whole after scaling has more decimals than the contract says."""
    if found.dtype.is_integer():
        return found.cast(pl.Int64) * column.scale
    value = _number(contract, column, found, whole=False) * column.scale
    made = value.round()
    wanted = f"at most {column.decimals} decimals and fewer than 2**53 units of the last one"
    off = ((value - made).abs() > 1e-6 * value.abs().clip(lower_bound=1.0)) | (made.abs() >= _EXACT)
    _refuse(
        contract, column.source, found, off.fill_null(False), wanted=wanted, fix=f"set columns.{column.name}.decimals"
    )
    return made.cast(pl.Int64)


def _flag(contract: Contract, column: Column, found: pl.Series) -> pl.Series:
    if found.dtype == pl.Boolean:
        return found
    text = found.cast(pl.String).str.strip_chars().str.to_lowercase()
    frame = pl.DataFrame({"t": text}).select(
        pl.when(pl.col("t").is_in(_TRUE)).then(True).when(pl.col("t").is_in(_FALSE)).then(False).alias("t")
    )
    _refuse(contract, column.source, found, frame["t"].is_null() & found.is_not_null(), wanted="true or false")
    return frame["t"]


def _happened(contract: Contract, raw: pl.DataFrame) -> pl.Series:
    if contract.happened is None:
        return pl.Series(HAPPENED, [CONSTANT_SINCE], dtype=INSTANT).new_from_index(0, raw.height)
    return _instants(contract, contract.happened, raw, stamp_is_happened=True).alias(HAPPENED)


def _instants(contract: Contract, stamp: Stamp, raw: pl.DataFrame, *, stamp_is_happened: bool) -> pl.Series:
    """Instants of a stamp column; a stamp that names a day or a period is the last tick of it in the contract's zone."""
    found = raw[stamp.column]
    if stamp.period == "integer" or (not stamp_is_happened and contract.integer):
        column = Column(stamp.column, "integer", stamp.column)
        made = _number(contract, column, found, whole=True).cast(pl.Int64)
        _refuse(contract, stamp.column, found, made.is_null(), wanted="an integer step")
        return made
    naive, names_day = _read_stamps(contract, stamp, found)
    _refuse(contract, stamp.column, found, naive.is_null(), wanted=_formats(stamp))
    if naive.dtype == pl.Date:
        naive = naive.cast(pl.Datetime("us"))
    zone = contract.zone if names_day else stamp.zone or contract.zone
    instant = naive if getattr(naive.dtype, "time_zone", None) else _in_zone(contract, stamp, naive, zone)
    at = instant.dt.convert_time_zone("UTC").cast(INSTANT)
    period = stamp.period or ("1d" if names_day else "")
    if not period:
        return at
    grid = parse_grid(period, zone=contract.zone)
    return time_column(stamp.column, grid.at(grid.index(tick_values(at))), integer=False)


def _read_stamps(contract: Contract, stamp: Stamp, found: pl.Series) -> tuple[pl.Series, bool]:
    """The stamps as dates or datetimes, null where they cannot be read, and whether they name days only."""
    if found.dtype == pl.Date:
        return found, True
    if isinstance(found.dtype, pl.Datetime):
        return found.cast(pl.Datetime("us", found.dtype.time_zone)), False
    text = found.cast(pl.String)
    formats = stamp.formats or _usual(text)
    dated = [not any(mark in each for mark in ("%H", "%I", "%T", "%s", "%R")) for each in formats]
    read = [_strptime(text, each, day=day) for each, day in zip(formats, dated, strict=True)]
    for other, each in zip(read[1:], formats[1:], strict=True):
        both = (read[0] != other).fill_null(False)
        _refuse(
            contract,
            stamp.column,
            text,
            both,
            wanted=f"one reading: {formats[0]} and {each} differ",
            fix="declare one format",
        )
    made = pl.DataFrame({str(i): each for i, each in enumerate(read)}).select(pl.coalesce(pl.all()).alias(stamp.column))
    return made.to_series(), all(dated)


def _strptime(text: pl.Series, pattern: str, *, day: bool) -> pl.Series:
    zoned = "%z" in pattern or "%:z" in pattern
    if day:
        return text.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    found = text.str.to_datetime(pattern, time_unit="us", strict=False, time_zone="UTC" if zoned else None)
    return found.dt.replace_time_zone(None) if zoned else found


def _usual(text: pl.Series) -> tuple[str, ...]:
    """ISO, where the plan declares no format: a date, or an instant with a blank or a T."""
    first = next((value for value in text.to_list()[:1000] if value), "")
    if len(first) <= len("2024-01-01"):
        return ("%Y-%m-%d",)
    separator = "T" if "T" in first else " "
    return (f"%Y-%m-%d{separator}%H:%M:%S%.f",)


def _formats(stamp: Stamp) -> str:
    return " or ".join(stamp.formats) if stamp.formats else "an ISO date or instant (or declare formats:)"


def _in_zone(contract: Contract, stamp: Stamp, naive: pl.Series, zone: str) -> pl.Series:
    zoned = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    skipped = zoned.is_null() & naive.is_not_null()
    if skipped.any():
        # A wall clock never showed these; an hour later it did, and that is the same instant.
        later = (naive.dt.offset_by("1h")).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        zoned = pl.select(pl.when(skipped).then(later.dt.offset_by("-1h")).otherwise(zoned)).to_series()
    _refuse(contract, stamp.column, naive, zoned.is_null(), wanted=f"a time that exists in {zone}")
    return zoned


def _known(contract: Contract, raw: pl.DataFrame, happened: pl.Series) -> pl.Series:
    known = contract.known
    match known.kind:
        case "same_as_happened" | "constant":
            return happened.alias(KNOWN)
        case "delay" | "lead":
            offset = known.offset if known.kind == "delay" else negated(known.offset)
            moved = pl.DataFrame({HAPPENED: happened}).select(shifted(pl.col(HAPPENED), offset, zone=contract.zone))
            return moved.to_series().alias(KNOWN)
        case "column":
            stamp = Stamp(known.column, known.formats, contract.happened.zone if contract.happened else "")
            return _instants(contract, stamp, raw, stamp_is_happened=False).alias(KNOWN)
        case _:
            assert_never(known.kind)


def _deleted(contract: Contract, raw: pl.DataFrame) -> pl.Series:
    if not contract.deleted:
        return pl.Series(DELETED, [False], dtype=pl.Boolean).new_from_index(0, raw.height)
    column = Column(contract.deleted, "flag", contract.deleted)
    return _flag(contract, column, raw[contract.deleted]).fill_null(False).alias(DELETED)


def _check_clocks(contract: Contract, rows: pl.DataFrame, now: Moment | None) -> None:
    if not contract.ahead:
        early = rows.filter(pl.col(KNOWN) < pl.col(HAPPENED))
        _refuse_rows(
            contract,
            early,
            column=KNOWN,
            found="known before they happened",
            wanted="known >= happened (law 1, two clocks)",
            fix="mend the known rule, or set ahead: true if these rows are plans",
        )
    if now is not None and isinstance(now, int) == contract.integer and contract.known.kind != "constant":
        late = rows.filter(pl.col(KNOWN) > literal(now))
        _refuse_rows(
            contract,
            late,
            column=KNOWN,
            found=f"known after now ({now})",
            wanted="facts that could be read",
            fix="mend their dates",
        )


def _duplicates(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """Within a batch a key comes once: repeats are refused, or the last row or the sum stands for them."""
    if not contract.key:
        content = [column.name for column in contract.columns] + [HAPPENED]
        number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(content).alias(OCCURRENCE)
        return rows.with_columns(number)
    keys = list(contract.keys)
    if contract.duplicates == "refuse" or not rows.select(keys).is_duplicated().any():
        return rows
    ordered = rows.sort(_ROW)
    if contract.duplicates == "keep_last":
        return ordered.unique(keys, keep="last", maintain_order=True)
    sums = [column.name for column in contract.columns if column.type == "decimal" and column.name not in keys]
    rest = [name for name in rows.columns if name not in (*keys, *sums, KNOWN)]
    return ordered.group_by(keys, maintain_order=True).agg(pl.col(sums).sum(), pl.col(KNOWN).max(), pl.col(rest).last())


def _check_values(contract: Contract, rows: pl.DataFrame) -> None:
    """Nulls, bounds, allowed words and the key, by pandera; tombstones need no values."""
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    live = rows.filter(~pl.col(DELETED)) if contract.deleted else rows
    columns = {
        column.name: pa.Column(nullable=column.nullable, checks=_checks(pa, column), required=True)
        for column in contract.columns
    }
    try:
        pa.DataFrameSchema(columns).validate(live, lazy=True)
    except SchemaErrors as errors:
        raise _told(contract, live, errors) from None
    repeated = rows.filter(rows.select(contract.keys).is_duplicated()) if contract.key else rows.clear()
    if repeated.height:
        first = repeated.row(0, named=True)
        shown = ", ".join(str(first[key]) for key in contract.keys)
        raise ContractError(
            contract.name,
            found=f"key ({', '.join(contract.key)}) repeats in {repeated.height} rows (first: {shown})",
            fix="keep one row per key, or set duplicates: keep_last or sum",
            rows=repeated[_ROW].head(_SHOWN).to_list(),
        )


def _checks(pa: Any, column: Column) -> list[Any]:
    checks = []
    if column.low is not None:
        checks.append(pa.Check.ge(column.low * column.scale))
    if column.high is not None:
        checks.append(pa.Check.le(column.high * column.scale))
    if column.allowed:
        checks.append(pa.Check.isin(list(column.allowed)))
    return checks


def _told(contract: Contract, rows: pl.DataFrame, errors: Any) -> ContractError:
    """The first failure of each kind in house words, with rows found by the contract itself."""
    name = str(errors.schema_errors[0].schema.name)
    column = contract.column(name)
    value = pl.col(name)
    bad = pl.lit(False)
    wanted = []
    if not column.nullable:
        bad |= value.is_null()
        wanted.append("a value in every row")
    if column.low is not None:
        bad |= (value < column.low * column.scale).fill_null(False)
        wanted.append(f"at least {column.low:g}")
    if column.high is not None:
        bad |= (value > column.high * column.scale).fill_null(False)
        wanted.append(f"at most {column.high:g}")
    if column.allowed:
        bad |= (~value.is_in(list(column.allowed))).fill_null(False)
        wanted.append(f"one of {', '.join(column.allowed)}")
    found = rows.filter(bad)
    first = found[name][0] if found.height else None
    shown = first / column.scale if isinstance(first, int) and column.type == "decimal" else first
    return ContractError(
        f"{contract.name}.{column.source}",
        found=f"{found.height} rows out of bounds (first: row {found[_ROW][0] if found.height else '?'}: {shown!r})",
        wanted=", ".join(wanted),
        fix="mend the rows, or the contract",
        column=name,
        rows=found[_ROW].head(_SHOWN).to_list(),
    )


def _refuse(
    contract: Contract, column: str, found: pl.Series, bad: pl.Series, *, wanted: str, fix: str = "mend the rows"
) -> None:
    if bad.any():
        places: Sequence[int] = bad.arg_true().head(_SHOWN).to_list()
        raise ContractError(
            f"{contract.name}.{column}",
            found=f"{bad.sum()} of {len(bad)} rows cannot be read (first: row {places[0] + 1}: {found[places[0]]!r})",
            wanted=wanted,
            fix=fix,
            column=column,
            rows=[place + 1 for place in places],
        )


def _refuse_rows(contract: Contract, rows: pl.DataFrame, *, column: str, found: str, wanted: str, fix: str) -> None:
    if rows.height:
        first = rows.row(0, named=True)
        shown = f"row {first[_ROW]}: happened {first[HAPPENED]}, known {first[KNOWN]}"
        raise ContractError(
            contract.name,
            found=f"{rows.height} rows {found} (first: {shown})",
            wanted=wanted,
            fix=fix,
            column=column,
            rows=rows[_ROW].head(_SHOWN).to_list(),
        )


__all__ = ["CONSTANT_SINCE", "as_polars", "columns_of", "parse"]
