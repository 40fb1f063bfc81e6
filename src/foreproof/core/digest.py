"""Canonical digests: sha256 over what values mean, not over how a library happens to lay them out.

A frame's digest covers its column names, their types, and per column the validity bits, the little-endian values and, for
text, offsets and UTF-8 bytes: the buffers of the Arrow columnar format (arrow.apache.org/docs/format/Columnar.html)
without padding. It does not depend on chunks, dictionary encoding, row order or file layout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from foreproof.errors import BadInput

_FORMAT = "foreproof.frame.1"
"""Part of what is digested: a change of the rules below changes every digest, on purpose."""


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    """sha256 of bytes, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """sha256 of plain values (mappings, sequences, text, numbers, None) as canonical JSON.

    Canonical: keys sorted, no spaces, ASCII only, floats by `repr`. Raises BadInput for NaN, infinities, keys that are
    not text, and values that JSON cannot hold.
    """
    return digest_bytes(canonical_json(value))


def canonical_json(value: Any) -> bytes:
    """The bytes that `digest_json` digests."""
    try:
        text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise BadInput("digest", found=str(error), wanted="finite numbers") from None
    return text.encode("ascii")


def digest_frame(frame: pl.DataFrame, *, keys: Sequence[str]) -> str:
    """sha256 of a frame with its rows sorted by `keys`, and by all other columns where keys repeat.

    NaN has one form and -0.0 counts as 0.0; categorical text counts as text. Raises BadInput where keys repeat and a
    nested column would have to break the tie.
    """
    ordered = _ordered(frame, keys)
    columns = [[name, _type_text(dtype)] for name, dtype in ordered.schema.items()]
    hasher = hashlib.sha256()
    _feed(hasher, canonical_json({"format": _FORMAT, "rows": ordered.height, "columns": columns}))
    for column in ordered:
        _feed_column(hasher, column)
    return hasher.hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            if not all(isinstance(name, str) for name in value):
                raise BadInput("digest", found="a key that is not text", wanted="text keys")
            return {name: _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise BadInput("digest", found=f"a value of type {type(value).__name__}", wanted="plain JSON values")


def _ordered(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    # A category sorts by its code in one process and by its text in another; text is the same everywhere.
    text = [name for name, dtype in frame.schema.items() if isinstance(dtype, (pl.Categorical, pl.Enum))]
    frame = frame.with_columns(pl.col(text).cast(pl.String)) if text else frame
    ordered = frame.sort(keys) if keys else frame
    if keys and not _repeats(ordered, keys):
        return ordered
    others = [name for name in frame.columns if name not in keys]
    nested = [name for name in others if frame.schema[name].is_nested()]
    flat = [*keys, *(name for name in others if name not in nested)]
    ordered = frame.sort(flat) if flat else frame
    if nested and _repeats(ordered, flat):
        raise BadInput(
            "digest",
            found=f"repeated keys ({', '.join(flat)}) beside the nested column {nested[0]}",
            wanted="keys that name one row each",
        )
    return ordered


def _repeats(ordered: pl.DataFrame, keys: Sequence[str]) -> bool:
    """Whether two neighbours of a sorted frame have the same keys."""
    if ordered.height < 2:
        return False
    same = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift()) for name in keys])
    return bool(keys) and bool(ordered.select(same.slice(1).any()).item())


def _type_text(dtype: pl.DataType) -> str:
    """A type's name in our own words, since a library may rename its types."""
    match dtype:
        case pl.Datetime():
            return f"datetime[{dtype.time_unit},{dtype.time_zone or ''}]"
        case pl.Duration():
            return f"duration[{dtype.time_unit}]"
        case pl.Decimal():
            return f"decimal[{dtype.scale}]"
        case pl.List():
            return f"list<{_type_text(_instance(dtype.inner))}>"
        case pl.Array():
            return f"array<{_type_text(_instance(dtype.inner))},{dtype.size}>"
        case pl.Struct():
            return "struct<" + ",".join(f"{f.name}:{_type_text(_instance(f.dtype))}" for f in dtype.fields) + ">"
        case pl.String() | pl.Categorical() | pl.Enum():
            return "text"
        case pl.Object() | pl.Unknown():
            raise BadInput("digest", found=f"a column of type {dtype}", wanted="columns that Arrow can hold")
        case _:
            return str(dtype.base_type().__name__).lower()


def _instance(dtype: Any) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()


def _feed_column(hasher: Any, column: pl.Series) -> None:
    """One column: validity bits, then values with zeros in place of nulls, each buffer behind its length."""
    there = column.is_not_null().to_numpy() if column.null_count() else np.ones(len(column), dtype=np.bool_)
    _feed(hasher, np.packbits(there, bitorder="little").tobytes())
    match column.dtype:
        case pl.Null():
            return
        case pl.Boolean():
            _feed(hasher, np.packbits(_filled(column, False).to_numpy(), bitorder="little").tobytes())
        case pl.String() | pl.Categorical() | pl.Enum() | pl.Decimal():
            _feed_text(hasher, _filled(column.cast(pl.String), "").to_arrow())
        case pl.Binary():
            _feed_text(hasher, _filled(column, b"").to_arrow())
        case pl.Array():
            _feed_column(hasher, column.cast(pl.List(column.dtype.inner)))
        case pl.List():
            _feed(hasher, _little(column.list.len().fill_null(0).cast(pl.Int64).to_numpy()))
            _feed_column(
                hasher, pl.Series(column.name, column.to_arrow().flatten(), dtype=_instance(column.dtype.inner))
            )
        case pl.Struct():
            for field in column.dtype.fields:
                _feed_column(hasher, column.struct.field(field.name))
        case dtype if dtype.is_float():
            values = _filled(column, 0.0).to_numpy()
            # One form of NaN, one zero.
            _feed(
                hasher, _little(np.where(np.isnan(values), np.nan, values).astype(values.dtype) + values.dtype.type(0))
            )
        case _:
            numbers = column if column.dtype.is_integer() else column.to_physical()
            _feed(hasher, _little(_filled(numbers, 0).to_numpy()))


def _filled(column: pl.Series, value: object) -> pl.Series:
    # A method of a series is a query of its own: of small columns without nulls it would be most of the work.
    return column.fill_null(value) if column.null_count() else column


def _feed_text(hasher: Any, values: Any) -> None:
    """Offsets from zero as int64, then the bytes of an array of text or bytes without nulls."""
    if not len(values):
        _feed(hasher, b"")
        return
    _, offsets, data = values.cast("large_binary").buffers()
    starts = np.frombuffer(offsets, dtype="<i8")[values.offset : values.offset + len(values) + 1]
    _feed(hasher, _little(starts - starts[0]))
    _feed(hasher, memoryview(data)[int(starts[0]) : int(starts[-1])] if data is not None else b"")


def _little(values: Any) -> memoryview:
    array = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return array.data.cast("B") if array.size else memoryview(b"")


def _feed(hasher: Any, buffer: bytes | memoryview) -> None:
    hasher.update(len(buffer).to_bytes(8, "little"))
    hasher.update(buffer)


__all__ = ["canonical_json", "digest_bytes", "digest_frame", "digest_json"]
