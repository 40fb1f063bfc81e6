"""Whole tables as files: JSON, JSON lines, CSV, Parquet or Arrow, written and sent a part at a time."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import Query
from fastapi.responses import StreamingResponse

from foreproof.app.api.shapes import cleaned

Format = Literal["json", "ndjson", "csv", "parquet", "arrow"]
MEDIA: Mapping[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The content type of each format."""
ROWS = 20_000
"""Rows of a part."""
AsFile = Annotated[Format | None, Query(alias="format", description="the whole table as a file in this format")]
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the table, whole, as a file",
        "content": {media.partition(";")[0]: {} for media in MEDIA.values()},
    }
}
"""What a route that exports may answer."""


def exported(
    frame: pl.DataFrame, how: Format, *, name: str, provenance: Mapping[str, Any] | None = None
) -> StreamingResponse:
    """A frame as a streamed file `name.csv` and so on; who made it stands in the header `Foreproof-Provenance`, as JSON.

    `json` is one document in the shape of a page: `items`, `total`, `limit`, `offset`.
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    ending = {"json": "json", "ndjson": "ndjson", "csv": "csv", "parquet": "parquet", "arrow": "arrow"}[how]
    headers = {"Content-Disposition": f'attachment; filename="{safe}.{ending}"', "X-Content-Type-Options": "nosniff"}
    if provenance is not None:
        headers["Foreproof-Provenance"] = json.dumps(dict(provenance), default=str)
    return StreamingResponse(_parts(frame, how, provenance), media_type=MEDIA[how], headers=headers)


def _parts(frame: pl.DataFrame, how: Format, provenance: Mapping[str, Any] | None) -> Iterator[bytes]:
    match how:
        case "json":
            return _json(frame, provenance)
        case "ndjson":
            return (cleaned(part).write_ndjson().encode() for part in _slices(frame))
        case "csv":
            return (
                part.write_csv(include_header=i == 0).encode() for i, part in enumerate(map(cleaned, _slices(frame)))
            )
        case "parquet":
            return _parquet(frame)
        case "arrow":
            return _arrow(frame)


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The frame a part at a time; an empty one once, for its columns."""
    yield frame.head(ROWS)
    for start in range(ROWS, frame.height, ROWS):
        yield frame.slice(start, ROWS)


def _json(frame: pl.DataFrame, provenance: Mapping[str, Any] | None) -> Iterator[bytes]:
    said = f'"provenance": {json.dumps(dict(provenance), default=str)}, ' if provenance is not None else ""
    yield f'{{{said}"total": {frame.height}, "limit": {frame.height}, "offset": 0, "items": ['.encode()
    for i, part in enumerate(_slices(frame)):
        lines = cleaned(part).write_ndjson().rstrip("\n").replace("\n", ",\n")
        yield f"{',' if i else ''}\n{lines}".encode()
    yield b"\n]}\n"


class _Tap(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def drained(self) -> bytes:
        found, self._parts = b"".join(self._parts), []
        return found


def _parquet(frame: pl.DataFrame) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    tap, writer = _Tap(), None
    for part in _slices(frame):
        table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(tap, table.schema, compression="zstd")
        writer.write_table(table)
        yield tap.drained()
    if writer is not None:
        writer.close()
    yield tap.drained()


def _arrow(frame: pl.DataFrame) -> Iterator[bytes]:
    import pyarrow as pa

    tap, writer = _Tap(), None
    for part in _slices(frame):
        table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pa.ipc.new_stream(tap, table.schema)
        writer.write_table(table)
        yield tap.drained()
    if writer is not None:
        writer.close()
    yield tap.drained()


__all__ = ["FILES", "MEDIA", "ROWS", "AsFile", "Format", "exported"]
