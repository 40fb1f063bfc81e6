"""The lake: one Delta table a contract, append and time travel only.

A load is one commit, so a kill at any moment leaves whole batches (files of an unfinished one are orphans that no reader
sees). The commit carries, as application transactions, the batch's digest, the number of batches and the load time; they
are read again right before each commit, and the commit fails where another one came in between. Nothing here overwrites,
deletes or vacuums, and the tables are marked append-only for other writers too.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout

from foreproof.adapters.shape import (
    arrow,
    batch_digest,
    canonical,
    check_shape,
    contract_digest,
    empty_column,
    identity,
    order,
    stored_keys,
    system_columns,
)
from foreproof.core.clock import INSTANT, ticks
from foreproof.core.contract import BATCH, HAPPENED, KNOWN, Contract
from foreproof.core.digest import digest_frame
from foreproof.core.ports import Loaded
from foreproof.core.supersede import Change, supersede
from foreproof.core.view import Database, Table
from foreproof.errors import BadInput, StoreError

_BATCHES, _LOADED_AT = "foreproof.batches", "foreproof.loaded_at"
"""Application transactions beside the digests: how many batches there are, and the last load time in ticks."""
_RECORD = "foreproof"
"""The commit's own metadata: one JSON object a batch, which `batches` shows."""
_TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ATTEMPTS = 20
_PAUSE = 0.05
"""Seconds before the second attempt, one more such pause before each further one."""
_KEEP_FOREVER = {
    "delta.appendOnly": "true",
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
}
_NO_CLEANUP = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
_BATCH_COLUMNS: dict[str, pl.DataType] = {
    "batch": pl.Int64(),
    "version": pl.Int64(),
    "digest": pl.String(),
    "source": pl.String(),
    "rows": pl.Int64(),
    "added": pl.Int64(),
    "superseding": pl.Int64(),
    "unchanged": pl.Int64(),
    "loaded_at": pl.Int64(),
    "contract": pl.String(),
}


class _LostRace(Exception):
    """Another writer committed between our look and our commit."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is to be loaded: rows in canonical order without `_batch`, their digest, where they came from."""

    contract: Contract
    rows: pl.DataFrame
    digest: str
    source: str


class Lake:
    """The facts of one tenant under a folder or an object store's URL.

    clock: the present instant, for load times. storage_options: what the object store's client needs.
    patience: seconds that a load waits for another one of the same table in a local folder.
    """

    def __init__(
        self,
        root: str,
        *,
        clock: Callable[[], datetime],
        storage_options: Mapping[str, str] | None = None,
        patience: float = 600.0,
    ) -> None:
        self.clock = clock
        self.options = dict(storage_options) if storage_options else None
        self._patience = patience
        self._folder = _local_folder(root)
        self.root = str(self._folder) if self._folder else root.rstrip("/")

    def load(self, table: Table, *, source: str = "") -> Loaded:
        """Add a table's rows as one batch; the same rows twice change nothing.

        Raises ContractError where the contract does not fit what is stored or the rows break a rule of versions, and
        StoreError where the store cannot be written; the lake is then as it was.
        """
        contract = table.contract
        rows = canonical(table)
        batch = _Batch(contract, rows, batch_digest(contract, rows), source)
        with self._turn(contract.name):
            for attempt in range(_ATTEMPTS):
                time.sleep(_PAUSE * attempt)
                try:
                    with self._errors(contract.name, "written"):
                        return self._attempt(batch)
                except _LostRace:
                    continue
        raise StoreError(
            self._subject(contract.name),
            found=f"{_ATTEMPTS} attempts, each overtaken by another writer",
            fix="run the load again when the other loads are done",
        )

    def fits(self, table: Table) -> None:
        """Raise ContractError where a table's contract does not fit what is stored; nothing stored fits all."""
        delta = self._open(table.contract.name)
        if delta is not None:
            check_shape(table.contract, delta, rows=table.rows)

    def table(self, contract: Contract, *, version: int | None = None) -> Table:
        """All versions of all rows as the table was at a version, in canonical order (happened, key, known, batch).

        Raises StoreError before the first load, ContractError where the contract does not fit what is stored.
        """
        delta = self._fitting(contract, version)
        with self._errors(contract.name, "read"):
            rows = self._scan(delta, contract).collect()
        return Table(contract, rows.sort(order(contract.keys, KNOWN, BATCH)))

    def version(self, name: str) -> int | None:
        """The newest version of a table, or None before its first load is done."""
        delta = self._open(name)
        return None if delta is None else delta.version()

    def batches(self, name: str) -> pl.DataFrame:
        """One row a batch, in order; see `core.ports.Facts`. `rows` counts the batch's rows, `contract` is a digest."""
        delta = self._open(name)
        with self._errors(name, "read"):
            history = delta.history() if delta is not None else []
        records = [json.loads(commit[_RECORD]) for commit in history if _RECORD in commit]
        frame = pl.DataFrame(records, schema=_BATCH_COLUMNS)
        return frame.with_columns(pl.col("loaded_at").cast(INSTANT)).sort("batch")

    def database(self, contracts: Iterable[Contract], versions: Mapping[str, int] | None = None) -> Database:
        """The tables of some contracts, each at its newest version or at the one given."""
        chosen = versions or {}
        return Database({each.name: self.table(each, version=chosen.get(each.name)) for each in contracts})

    def dataset(self, contract: Contract, *, version: int | None = None) -> Any:
        """A lazy pyarrow Dataset of all versions of all rows, for engines that push their filters down."""
        delta = self._fitting(contract, version)
        with self._errors(contract.name, "read"):
            return delta.to_pyarrow_dataset()

    def data_digest(self, name: str, version: int | None = None) -> str:
        """sha256 of a table's content at a version: every row with its two clocks, batch and deletion, in any files."""
        delta = self._existing(name, version)
        with self._errors(name, "read"):
            rows = self._files(delta).collect()
        return digest_frame(rows.select(sorted(rows.columns)), keys=order(stored_keys(delta), KNOWN, BATCH))

    def _attempt(self, batch: _Batch) -> Loaded:
        """Look, decide, commit: one optimistic try."""
        contract, delta = batch.contract, self._open(batch.contract.name)
        if delta is not None:
            done = delta.transaction_version(batch.digest)
            if done is not None:
                return Loaded(contract.name, done, batch.digest, 0, 0, 0, already_loaded=True, version=delta.version())
            check_shape(contract, delta, rows=batch.rows)
        last = delta.transaction_version(_LOADED_AT) if delta is not None else None
        # Load times grow even where the machine's clock does not: a later load never changes an earlier view.
        at = ticks(self.clock()) if last is None else max(ticks(self.clock()), last + 1)
        change = supersede(contract, batch.rows, self._stored(delta, contract, batch.rows), load_tick=at)
        return self._commit(delta, batch, change, at)

    def _stored(self, delta: DeltaTable | None, contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
        """The stored versions of the batch's keys: key columns are read first, the rest only where one is there."""
        nothing = _numbered(rows.clear(), 0)
        if delta is None or rows.is_empty():
            return nothing
        keys = list(contract.keys)
        scan = self._scan(delta, contract)
        if HAPPENED in keys and not rows[HAPPENED].null_count():
            # Files and row groups outside the batch's days are skipped by their statistics.
            days = rows[HAPPENED].to_physical()
            low, high = (pl.lit(tick, dtype=pl.Int64).cast(rows.schema[HAPPENED]) for tick in (days.min(), days.max()))
            scan = scan.filter(pl.col(HAPPENED) >= low, pl.col(HAPPENED) <= high)
        wanted = rows.lazy().select(keys).unique()
        found = scan.select(keys).join(wanted, on=keys, how="semi", nulls_equal=True).unique().collect()
        if found.is_empty():
            return nothing
        return scan.join(found.lazy(), on=keys, how="semi", nulls_equal=True).collect()

    def _commit(self, delta: DeltaTable | None, batch: _Batch, change: Change, at: int) -> Loaded:
        """Write the change as the next version. The first batch and the table itself are one commit, version 0."""
        contract = batch.contract
        number = 1 if delta is None else (delta.transaction_version(_BATCHES) or 0) + 1
        version = 0 if delta is None else delta.version() + 1
        record = {
            "batch": number,
            "version": version,
            "digest": batch.digest,
            "source": batch.source,
            "rows": batch.rows.height,
            "added": change.added,
            "superseding": change.superseding,
            "unchanged": change.unchanged,
            "loaded_at": at,
            "contract": contract_digest(contract),
        }
        marks = {batch.digest: number, _BATCHES: number, _LOADED_AT: at}
        rows = arrow(contract, _numbered(change.rows, number))
        commit = CommitProperties(
            custom_metadata={_RECORD: json.dumps(record, sort_keys=True)},
            max_commit_retries=0,
            app_transactions=[Transaction(name, value) for name, value in marks.items()],
        )
        try:
            if delta is None:
                write_deltalake(
                    self._uri(contract.name),
                    rows,
                    mode="error",
                    description=identity(contract, batch.rows),
                    configuration=_KEEP_FOREVER,
                    storage_options=self.options,
                    commit_properties=commit,
                    post_commithook_properties=_NO_CLEANUP,
                )
            else:
                grown = not {field.name for field in delta.schema().fields}.issuperset(rows.column_names)
                write_deltalake(
                    delta,
                    rows,
                    mode="append",
                    schema_mode="merge" if grown else None,
                    commit_properties=commit,
                    post_commithook_properties=_NO_CLEANUP,
                )
        except DeltaError as error:
            newest = self._open(contract.name)
            if newest is not None and newest.version() >= version:
                raise _LostRace from error
            raise
        counts = (change.added, change.superseding, change.unchanged)
        return Loaded(contract.name, number, batch.digest, *counts, already_loaded=False, version=version)

    def _scan(self, delta: DeltaTable, contract: Contract) -> pl.LazyFrame:
        """All rows lazily, in the contract's columns; one that was added to the contract since then is empty."""
        scan = self._files(delta)
        stored = scan.collect_schema()
        missing = [empty_column(column) for column in contract.columns if column.name not in stored]
        names = [column.name for column in contract.columns]
        return scan.with_columns(missing).select(*names, *system_columns(stored))

    def _files(self, delta: DeltaTable) -> pl.LazyFrame:
        """All rows and columns that are stored, lazily."""
        schema = pl.scan_delta(delta).collect_schema()
        # Delta gives escaped addresses, which find no file where a folder's name holds as much as a space.
        files = [unquote(uri) for uri in delta.file_uris()]
        if not files:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(files, schema=schema, missing_columns="insert", glob=False, storage_options=self.options)

    def _fitting(self, contract: Contract, version: int | None) -> DeltaTable:
        delta = self._existing(contract.name, version)
        check_shape(contract, delta)
        return delta

    def _existing(self, name: str, version: int | None) -> DeltaTable:
        delta = self._open(name)
        if delta is None:
            raise StoreError(self._subject(name), found="no such table", fix="load it first: foreproof load")
        if version is None or version == delta.version():
            return delta
        if not 0 <= version < delta.version():
            wanted = f"one of 0 to {delta.version()}"
            raise BadInput(self._subject(name), found=f"no version {version}", wanted=wanted)
        with self._errors(name, "read"):
            return DeltaTable(self._uri(name), version=version, storage_options=self.options)

    def _open(self, name: str) -> DeltaTable | None:
        uri = self._uri(name)
        with self._errors(name, "read"):
            if not DeltaTable.is_deltatable(uri, self.options):
                return None
            return DeltaTable(uri, storage_options=self.options)

    def _uri(self, name: str) -> str:
        if not _TABLE_NAME.fullmatch(name):
            raise BadInput(
                "table",
                found=f"the name {name!r}",
                wanted="letters, digits, dots, dashes and underscores, with a letter or underscore first",
                fix="rename it in the plan",
            )
        return f"{self.root}/{name}"

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """One load of a table at a time in a local folder; elsewhere the commit itself settles who was first."""
        self._uri(name)
        if self._folder is None:
            yield
            return
        lock = FileLock(self._folder / ".locks" / f"{name}.lock", timeout=self._patience)
        try:
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise StoreError(
                self._subject(name),
                found=f"another load that has run for more than {self._patience:g} s",
                fix="wait for it to end, then run this one again",
            ) from None
        except OSError as error:
            raise self._failed(name, "written", error) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _errors(self, name: str, verb: str) -> Iterator[None]:
        """Errors of the store in house form."""
        try:
            yield
        except (DeltaError, OSError, pl.exceptions.ComputeError) as error:
            raise self._failed(name, verb, error) from error

    def _failed(self, name: str, verb: str, error: Exception) -> StoreError:
        words = " ".join(str(error).split())
        if any(sign in words for sign in ("No space left", "File too large", "Disk quota exceeded")):
            return StoreError(
                self._subject(name),
                found="no space left on the disk",
                wanted="room for the whole batch; nothing of it was loaded",
                fix="free some space and run the load again",
            )
        return StoreError(
            self._subject(name), found=f"it cannot be {verb} ({words[:300]})", fix="mend that, then retry"
        )

    def _subject(self, name: str) -> str:
        return f"lake {self.root}, table {name}"


def _local_folder(root: str) -> Path | None:
    """The folder that an address names, or None for an object store."""
    if "://" not in root:
        return Path(root).absolute()
    parts = urlsplit(root)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _numbered(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    return rows.with_columns(pl.lit(number, dtype=pl.Int64).alias(BATCH))


__all__ = ["Lake", "Loaded", "contract_digest"]
