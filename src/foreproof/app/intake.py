"""A batch of facts from somewhere else than the plan's sources: held against the same rules, written by the same code."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from foreproof.adapters.sources import Batch, Files, Reading
from foreproof.adapters.sources.text import Dialect, read_text
from foreproof.app.progress import Silent
from foreproof.app.project import Project
from foreproof.app.stages import Work, check, store
from foreproof.errors import NotFound, SourceError

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ARROW, ARROW_FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
MEDIA = (JSON, CSV, PARQUET, ARROW, ARROW_FILE)
"""What a body may be."""
_ALSO = {
    "application/parquet": PARQUET,
    "application/x-parquet": PARQUET,
    "application/arrow": ARROW,
    "application/csv": CSV,
}


@dataclass(frozen=True, slots=True)
class _Given:
    """A source that gives one batch that is here already."""

    batch: Batch

    def describe(self) -> str:
        """Who gave it."""
        return self.batch.source

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """The batch."""
        yield self.batch


def take_in(project: Project, table: str, frame: pl.DataFrame, *, source: str) -> dict[str, Any]:
    """Load raw rows into a table as `foreproof load` would: cleaned, parsed by contract, rehearsed, one commit.

    Returns `table`, `batch`, `added`, `superseding`, `unchanged`, `already_loaded`, `digest`, `version`. Raises NotFound for a
    table without a contract, BadInput for rows that are refused; the lake is then as it was.
    """
    contracts = {contract.name: contract for contract in project.contracts}
    if table not in contracts:
        raise NotFound(
            f"table {table}", found="no contract", wanted=f"one of {', '.join(contracts)}", fix="add it to the plan"
        )
    if frame.is_empty():
        raise SourceError(f"{table} ({source})", found="no rows", wanted="at least one")
    given = Project(project.folder, project.plan, project.settings)
    given.__dict__["cleaning"] = project.cleaning
    given.__dict__["sources"] = {table: _Given(Batch(source, frame, source))}
    work = store(check(Work(given, Silent())))
    names = ("table", "batch", "added", "superseding", "unchanged", "already_loaded", "digest", "version")
    return {name: work.loads[0][name] for name in names}


def frame_of(project: Project, table: str, media: str, body: bytes) -> pl.DataFrame:
    """The raw rows of a body, by its type; text is read in the dialect of the table's own file. Raises SourceError."""
    name = f"{table} (body)"
    kind = media.partition(";")[0].strip().lower() or JSON
    kind = _ALSO.get(kind, kind)
    own = project.sources.get(table)
    try:
        match kind:
            case "application/json":
                return _of_json(name, body)
            case "text/csv":
                return read_text(name, body, own.dialect if isinstance(own, Files) else Dialect())
            case "application/vnd.apache.parquet":
                return pl.read_parquet(io.BytesIO(body))
            case "application/vnd.apache.arrow.stream":
                return pl.read_ipc_stream(io.BytesIO(body))
            case "application/vnd.apache.arrow.file":
                return pl.read_ipc(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        raise SourceError(name, found=f"no {kind} ({words})", wanted="a body of the type that it says") from None
    raise SourceError(name, found=f"the type {kind[:100]}", wanted=f"one of {', '.join(MEDIA)}", fix="set Content-Type")


def _of_json(name: str, body: bytes) -> pl.DataFrame:
    """Rows of JSON as text, so that numbers keep the digits that were sent."""
    found = json.loads(body, parse_float=_Digits, parse_constant=_Digits)
    rows = found.get("rows") if isinstance(found, Mapping) else None
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(isinstance(row, Mapping) for row in rows):
        raise SourceError(name, found="no list of rows", wanted='{"rows": [{"COLUMN": VALUE, ...}, ...]}')
    columns = dict.fromkeys(column for row in rows for column in row)
    return pl.DataFrame(
        {column: [_text(name, column, row.get(column)) for row in rows] for column in columns},
        schema=dict.fromkeys(columns, pl.String),
    )


class _Digits(str):
    """A number of JSON as it was written."""

    __slots__ = ()


def _text(name: str, column: str, value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
    raise SourceError(name, found=f"{column}: {type(value).__name__}", wanted="text, a number, true, false or null")


__all__ = ["MEDIA", "frame_of", "take_in"]
