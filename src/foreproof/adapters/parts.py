"""Facts spilled into parts of whole series, one pass over a dataset, and the forecasts of each part.

A series always lies in the part that the CRC of its name says, so parts do not depend on the order of rows or files.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from foreproof.core.digest import digest_bytes
from foreproof.errors import BadInput, StoreError

_FACTS, _OUT, _INDEX = "facts", "forecasts", "parts.json"
_ROWS = 131_072
"""Rows of one record batch that is read."""


@dataclass(frozen=True, slots=True)
class PartFolder:
    """Parts in a folder; implements `core.ports.Parts`. Holds a path alone, so it can be sent to another process."""

    folder: Path

    def read(self, name: str) -> pa.Table:
        """The facts of one part."""
        with pa.memory_map(str(self._facts / f"{name}.arrow")) as source:
            return pa.ipc.open_stream(source).read_all()

    def done(self, name: str) -> bool:
        """Whether the forecasts of a part are kept."""
        return self.result(name).is_file()

    def put(self, name: str, forecasts: pa.Table) -> None:
        """Keep the forecasts of a part as Parquet, all or nothing."""
        path = self.result(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}")
        try:
            pa.parquet.write_table(forecasts, draft, compression="zstd")
            os.replace(draft, path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StoreError(str(path), found=str(error.strerror or error), fix="mend that, then run again") from error

    def result(self, name: str) -> Path:
        """Where the forecasts of a part are, or will be."""
        return self.folder / _OUT / f"{name}.parquet"

    def digest(self, name: str) -> str:
        """sha256 of the forecasts' file."""
        return digest_bytes(self.result(name).read_bytes())

    def spill(self, dataset: Any, entity: Sequence[str], size: int, *, on_rows: Callable[[int], None]) -> list[str]:
        """Split a pyarrow Dataset into parts of about `size` series; parts that are there already are left as they are.

        on_rows hears of rows as they are written. Memory: one record batch and the names of all series.
        Raises BadInput for a dataset without rows.
        """
        index = self.folder / _INDEX
        if index.is_file():
            return list(json.loads(index.read_text(encoding="utf-8"))["parts"])
        names = _series(dataset, entity)
        if names.is_empty():
            raise BadInput("chunks", found="no facts", wanted="a history", fix="load some: foreproof load")
        many = -(-names.height // size)
        crc = [zlib.crc32("\x1f".join(map(str, key)).encode()) % many for key in names.rows()]
        part_of = names.with_columns(pl.Series("_part", crc, dtype=pl.Int64))
        draft = self.folder / ".spill"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        used = _write(dataset, entity, part_of, draft, on_rows)
        shutil.rmtree(self._facts, ignore_errors=True)
        os.replace(draft, self._facts)
        found = {"parts": used, "series": names.height, "rows": dataset.count_rows()}
        index.write_text(json.dumps(found), encoding="utf-8")
        return used

    def forget_facts(self, *, but: str) -> None:
        """Remove the spilled facts of every part but one, which is kept to be tried again; the forecasts stay."""
        for path in self._facts.glob("*.arrow"):
            if path.stem != but:
                path.unlink()

    def counts(self) -> dict[str, int]:
        """Series and rows that were spilled."""
        found = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
        return {"series": int(found["series"]), "rows": int(found["rows"])}

    @property
    def _facts(self) -> Path:
        return self.folder / _FACTS


def _batches(dataset: Any, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    # Few batches ahead: the scanner would otherwise hold sixteen of them for each file.
    yield from dataset.to_batches(
        columns=list(columns) if columns else None, batch_size=_ROWS, batch_readahead=2, fragment_readahead=1
    )


def _series(dataset: Any, entity: Sequence[str]) -> pl.DataFrame:
    """The names of all series, sorted."""
    seen: pl.DataFrame | None = None
    for batch in _batches(dataset, entity):
        frame: Any = pl.from_arrow(batch)
        here = frame.select(entity).unique()
        seen = here if seen is None else pl.concat([seen, here]).unique()
    return seen.sort(entity) if seen is not None else pl.DataFrame()


def _write(
    dataset: Any, entity: Sequence[str], part_of: pl.DataFrame, folder: Path, on_rows: Callable[[int], None]
) -> list[str]:
    """Each record batch's rows to the parts that they belong to; the names of the parts that got any."""
    writers: dict[int, Any] = {}
    try:
        for batch in _batches(dataset):
            frame: Any = pl.from_arrow(batch)
            placed = frame.join(part_of, on=list(entity), how="left", nulls_equal=True, maintain_order="left")
            for (part,), rows in placed.group_by(["_part"], maintain_order=True):
                table = rows.drop("_part").to_arrow(compat_level=pl.CompatLevel.oldest())
                if part not in writers:
                    writers[part] = pa.ipc.new_stream(str(folder / f"{_name(part)}.arrow"), table.schema)
                writers[part].write_table(table)
            on_rows(batch.num_rows)
    finally:
        for writer in writers.values():
            writer.close()
    return [_name(part) for part in sorted(writers)]


def _name(part: int) -> str:
    return f"part-{part:05d}"


__all__ = ["PartFolder"]
