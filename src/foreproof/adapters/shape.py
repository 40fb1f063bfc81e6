"""How a contract becomes the schema of a Delta table, and whether a contract still fits what is stored.

Arrow's types do not tell everything (a decimal is a scaled integer), so each field keeps the contract's own type as
metadata, and the table's description keeps the key and the clock. Both are versioned with the table by Delta itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from foreproof.core.clock import INSTANT
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, OCCURRENCE, Column, Contract
from foreproof.core.digest import digest_frame, digest_json
from foreproof.core.view import Table
from foreproof.errors import ContractError

_TYPE = "foreproof.type"
_TYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "decimal": pl.Int64(),
    "real": pl.Float64(),
    "flag": pl.Boolean(),
    "date": pl.Date(),
}


def canonical(table: Table) -> pl.DataFrame:
    """A batch as the lake stores it: the contract's columns in order, the two clocks, in canonical order, no `_batch`."""
    contract, rows = table.contract, table.rows
    values = [pl.col(column.name).cast(_TYPES[column.type]) for column in contract.columns]
    return rows.select(*values, *system_columns(rows, without=BATCH)).sort(order(contract.keys, KNOWN))


def order(keys: Sequence[str], *last: str) -> list[str]:
    """The columns to sort by: time first, which keeps the days of a file together, then the rest of the key."""
    first = [HAPPENED] if HAPPENED in keys else []
    return [*first, *(name for name in keys if name != HAPPENED), *last]


def system_columns(rows: pl.DataFrame | pl.Schema, *, without: str = "") -> list[str]:
    """The columns of ours that are there, in their one order."""
    names = rows.columns if isinstance(rows, pl.DataFrame) else list(rows)
    return [name for name in (HAPPENED, KNOWN, BATCH, DELETED, OCCURRENCE) if name in names and name != without]


def empty_column(column: Column) -> pl.Expr:
    """A column that was added to the contract after these rows were stored."""
    return pl.lit(None, dtype=_TYPES[column.type]).alias(column.name)


def arrow(contract: Contract, rows: pl.DataFrame) -> Any:
    """The rows as a pyarrow Table whose fields carry the contract's types."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    types = {column.name: _type_text(column) for column in contract.columns}
    fields = [f.with_metadata({_TYPE: types[f.name]}) if f.name in types else f for f in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def identity(contract: Contract, rows: pl.DataFrame) -> str:
    """What never changes over a table's life, as its description: the key, the clock, the columns of ours."""
    return json.dumps(
        {"keys": list(contract.keys), "clock": _clock(rows), "stamps": system_columns(rows, without=BATCH)},
        sort_keys=True,
    )


def stored_keys(delta: DeltaTable) -> list[str]:
    """The key of a stored table."""
    return [str(name) for name in json.loads(delta.metadata().description or "{}").get("keys", [])]


def batch_digest(contract: Contract, rows: pl.DataFrame) -> str:
    """sha256 of a batch: its canonical rows and the table's identity; not when, from where or how often it was loaded."""
    columns = [[column.name, _type_text(column)] for column in contract.columns]
    known = digest_frame(rows, keys=order(contract.keys, KNOWN))
    return digest_json(
        {"table": contract.name, "identity": identity(contract, rows), "columns": columns, "rows": known}
    )


def contract_digest(contract: Contract) -> str:
    """sha256 of everything that a contract says."""
    return digest_json(asdict(contract))


def check_shape(contract: Contract, delta: DeltaTable, *, rows: pl.DataFrame | None = None) -> None:
    """Refuse a contract that reads stored rows in another way; a new column that may be empty is no other way.

    rows: the batch to write, or None for a reader.
    """
    stored = json.loads(delta.metadata().description or "{}")
    _same(contract, "key", found=list(contract.keys), wanted=stored.get("keys"))
    if rows is not None:
        _same(contract, "clock", found=_clock(rows), wanted=stored.get("clock"))
        _same(contract, "stamps", found=system_columns(rows, without=BATCH), wanted=stored.get("stamps"))
    types = {f.name: str(f.metadata.get(_TYPE, "")) for f in delta.schema().fields if not f.name.startswith("_")}
    for column in contract.columns:
        if column.name in types:
            _same(contract, column.name, found=_type_text(column), wanted=types.pop(column.name), column=column.name)
        elif not column.nullable:
            raise ContractError(
                f"{contract.name}.{column.name}",
                found="a new column that must not be empty",
                wanted="the columns that are stored, or new ones with nullable: true, since older rows have no value",
                fix="set nullable: true, or load everything under a new table name",
                column=column.name,
            )
    if types:
        raise ContractError(
            contract.name,
            found=f"no {', '.join(sorted(types))} in the contract",
            wanted="every column that is stored",
            fix="keep the column, with nullable: true where new files lack it, or use a new table name",
            column=min(types),
        )


def _same(contract: Contract, what: str, *, found: object, wanted: object, column: str | None = None) -> None:
    if found != wanted:
        raise ContractError(
            f"{contract.name}.{what}",
            found=f"{found} in the contract, {wanted} in the lake",
            wanted="the contract under which the table was first loaded",
            fix="take the change back, or load everything under a new table name",
            column=column,
        )


def _type_text(column: Column) -> str:
    return f"decimal:{column.decimals}" if column.type == "decimal" else column.type


def _clock(rows: pl.DataFrame) -> str:
    return "instants" if rows.schema[KNOWN] == INSTANT else "steps"


__all__ = [
    "arrow",
    "batch_digest",
    "canonical",
    "check_shape",
    "contract_digest",
    "empty_column",
    "identity",
    "order",
    "stored_keys",
    "system_columns",
]
