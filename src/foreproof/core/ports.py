"""What the app wires to the core: small protocols, each implemented by one adapter.

The engine and the core see these; only the app names the adapters behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import polars as pl
import pyarrow as pa

from foreproof.core.contract import Contract
from foreproof.core.view import Database, Table

Clock = Callable[[], datetime]
"""The present instant, in UTC."""

Frames = Mapping[str, pl.DataFrame]
"""What a step of a run hands on: frames by name."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load did.

    batch: its number, 1, 2, ... within the table. digest: sha256 of its rows and the table's identity.
    added: rows of keys that were new; superseding: rows written as a new version of a key of an earlier batch;
    unchanged: rows not written, since they say what the lake says already. version: the table's version after the load.
    """

    table: str
    batch: int
    digest: str
    added: int
    superseding: int
    unchanged: int
    already_loaded: bool
    version: int


class Facts(Protocol):
    """The store of facts: it only grows, and every version of a table stays readable."""

    def load(self, table: Table, *, source: str = "") -> Loaded:
        """Add one batch; the same batch twice changes nothing."""
        ...

    def table(self, contract: Contract, *, version: int | None = None) -> Table:
        """All versions of all rows, as the table was at a version."""
        ...

    def version(self, name: str) -> int | None:
        """The newest version of a table, or None before the first load."""
        ...

    def batches(self, name: str) -> pl.DataFrame:
        """One row a batch: batch, version, digest, source, rows, added, superseding, unchanged, loaded_at, contract."""
        ...

    def database(self, contracts: Iterable[Contract], versions: Mapping[str, int] | None = None) -> Database:
        """The tables of some contracts, each at its newest version or at the one given."""
        ...

    def data_digest(self, name: str, version: int | None = None) -> str:
        """A digest of a table's content at a version, independent of its files."""
        ...


class StepStore(Protocol):
    """Finished steps of runs by the digest of what went into them."""

    def get(self, key: str) -> Frames | None:
        """The frames of a finished step, or None."""
        ...

    def put(self, key: str, frames: Frames) -> None:
        """Keep the frames of a finished step, all or nothing."""
        ...

    def run(self, key: str, fn: Callable[[], Frames]) -> Frames:
        """The kept frames, or those that `fn` computes, kept."""
        ...


class Journal(Protocol):
    """The ledger that only grows."""

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """Add one leaf and return its position."""
        ...

    def checkpoint(self) -> str:
        """A signed checkpoint of the whole log."""
        ...


class RunStore(Protocol[R]):
    """Records of runs by id."""

    def save_run(self, record: R) -> None:
        """Keep a record; one of the same id is replaced."""
        ...

    def run(self, run_id: str) -> R:
        """One record."""
        ...

    def runs(self) -> list[R]:
        """All records, oldest first."""
        ...


class Parts(Protocol):
    """Facts split into parts of whole series, and the forecasts of those that are done; may be sent to a process."""

    def read(self, name: str) -> pa.Table:
        """The facts of one part."""
        ...

    def done(self, name: str) -> bool:
        """Whether the forecasts of a part are kept."""
        ...

    def put(self, name: str, forecasts: pa.Table) -> None:
        """Keep the forecasts of a part, all or nothing."""
        ...


class Progress(Protocol):
    """Where long work says how far it is."""

    def stage(self, name: str, total: int) -> None:
        """Start a stage of `total` units."""
        ...

    def advance(self, n: int = 1) -> None:
        """`n` more units are done."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What a language model answered, and how many tokens that took; 0 where it did not say."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


class Talker(Protocol):
    """A language model behind an address."""

    @property
    def model(self) -> str:
        """Which one, for the record."""
        ...

    def ask(self, messages: Sequence[Mapping[str, str]]) -> Reply:
        """One answer to a conversation of `role` and `content`. Raises ForeproofError where there is none."""
        ...


__all__ = [
    "Clock",
    "Facts",
    "Frames",
    "Journal",
    "Loaded",
    "Parts",
    "Progress",
    "Reply",
    "RunStore",
    "StepStore",
    "Talker",
]
