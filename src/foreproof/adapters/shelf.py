"""Rows that runs made, kept beside the facts: one Delta table a name (`features`, `chances`), appended by cutoff.

A commit holds the rows of one cutoff, and carries the digest of what they were made from as an application transaction, so the
same rows twice change nothing and a kill leaves whole cutoffs. Nothing here overwrites or deletes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError
from filelock import FileLock

from foreproof.adapters.lake import Lake
from foreproof.core.clock import tick_values
from foreproof.core.digest import digest_json
from foreproof.core.predict import CUTOFF
from foreproof.errors import StoreError

PLAN, DATA = "_plan", "_data"
"""The digests of the plan and of the data that a kept row was made from."""


class Shelf:
    """The kept rows of a lake, in its folder `.rows` (no table of facts can have that name).

    patience: seconds that a writer waits for another one in a local folder; on an object store the later commit fails.
    """

    def __init__(self, lake: Lake, *, patience: float = 600.0) -> None:
        self._root = f"{lake.root}/.rows"
        self._options = lake.options
        self._local = "://" not in lake.root
        self._patience = patience

    def keep(self, name: str, rows: pl.DataFrame, *, plan: str, data: str) -> int:
        """Add the rows of each cutoff that are not there yet for this plan and data; return how many were added.

        rows: `cutoff` and any other columns, sorted. plan, data: digests. Raises StoreError where they cannot be written.
        """
        added = 0
        marked = rows.with_columns(pl.lit(plan).alias(PLAN), pl.lit(data).alias(DATA))
        with self._turn(name):
            for part in marked.partition_by(CUTOFF, maintain_order=True):
                at = int(tick_values(part[CUTOFF])[0])
                # What is kept is named by what it was made from, and by its columns: a policy's rows are other rows.
                mark = digest_json({"cutoff": at, "plan": plan, "data": data, "columns": part.columns})
                delta = self._open(name)
                if delta is None or delta.transaction_version(mark) is None:
                    self._append(name, delta, part, CommitProperties(app_transactions=[Transaction(mark, 1)]))
                    added += part.height
        return added

    def dataset(self, name: str) -> Any:
        """A lazy pyarrow Dataset of everything kept under a name, or None before anything was."""
        delta = self._open(name)
        return None if delta is None else delta.to_pyarrow_dataset()

    def _append(self, name: str, delta: DeltaTable | None, rows: pl.DataFrame, commit: CommitProperties) -> None:
        with self._errors(name):
            table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            if delta is None:
                uri = self._uri(name)
                write_deltalake(uri, table, mode="error", storage_options=self._options, commit_properties=commit)
            else:
                write_deltalake(delta, table, mode="append", schema_mode="merge", commit_properties=commit)

    def _open(self, name: str) -> DeltaTable | None:
        with self._errors(name):
            if not DeltaTable.is_deltatable(self._uri(name), self._options):
                return None
            return DeltaTable(self._uri(name), storage_options=self._options)

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        if not self._local:
            yield
            return
        with self._errors(name):
            lock = Path(self._root) / ".locks" / f"{name}.lock"
            lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=self._patience):
            yield

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError) as error:
            words = " ".join(str(error).split())[:300]
            raise StoreError(
                f"kept {name} in {self._root}",
                found=f"it cannot be read or written ({words})",
                fix="mend that, then retry",
            ) from error

    def _uri(self, name: str) -> str:
        return f"{self._root}/{name}"


__all__ = ["DATA", "PLAN", "Shelf"]
