"""SQL over the lake: DuckDB reads the Delta tables' own files and can touch nothing else.

`TABLE` holds the latest version of each key with known <= as_of, tombstones hidden, and `TABLE_versions` holds everything.
DuckDB's own Delta extension would have to be downloaded, so the tables come in as pyarrow datasets, into which it pushes
its filters and its choice of columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from foreproof.adapters.lake import Lake
from foreproof.core.clock import Moment, ticks
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, Column, Contract
from foreproof.core.predict import CUTOFF
from foreproof.errors import BadInput

_SEALED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
"""No files, no network, no extensions, no variables of this process."""
_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "BIGINT",
    "real": "DOUBLE",
    "flag": "BOOLEAN",
    "date": "DATE",
}
NOTHING: Mapping[str, Any] = MappingProxyType({})
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def query(
    lake: Lake,
    contracts: Iterable[Contract],
    sql: str,
    *,
    as_of: Moment | None = None,
    kept: Mapping[str, Any] = NOTHING,
) -> pl.DataFrame:
    """The result of one SELECT over the tables of some contracts that have been loaded.

    kept: datasets of rows with a column `cutoff`, by name; at a cutoff those of cutoffs up to it. A table of facts goes first.

    as_of: an instant, or a step for tables of integer steps; without it the lake's present instant, and for integer steps
    everything. Decimal columns come in the user's unit, exactly. Raises BadInput for anything but one statement that
    reads, for SQL that DuckDB refuses, and for a cutoff on another clock than the table's.
    """
    with duckdb.connect(":memory:", config=dict(_SEALED)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = [each.name for each in contracts if _register(connection, lake, each, as_of)]
        for name, dataset in kept.items():
            if name not in names:
                _register_kept(connection, name, dataset, as_of)
        connection.execute("SET lock_configuration = true")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in _READS:
                raise BadInput("sql", found="something else than one SELECT", wanted="one statement that reads")
            return _result(connection.sql(sql).to_arrow_table())
        except duckdb.Error as error:
            tables = ", ".join(f"{name}, {name}_versions" for name in names) or "none: load them first"
            raise BadInput("sql", found=_first_line(error), fix=f"tables here: {tables}") from None


def _register(connection: Any, lake: Lake, contract: Contract, as_of: Moment | None) -> bool:
    """Make the two views of one table; False where it has not been loaded."""
    if lake.version(contract.name) is None:
        return False
    dataset = lake.dataset(contract)
    raw, stored = f"_{contract.name}_stored", set(dataset.schema.names)
    connection.register(raw, dataset)
    shown = [_shown(column, column.name in stored) for column in contract.columns]
    stamps = [_name(name) for name in (HAPPENED, KNOWN, BATCH, DELETED) if name in stored]
    columns = ", ".join([*shown, *stamps])
    keys = ", ".join(_name(name) for name in contract.keys)
    # The first of each key by (known, batch) backwards, among the rows known at the cutoff: law 1, two clocks.
    visible = (
        f"SELECT {columns} FROM (SELECT * FROM {_name(raw)} WHERE {_cutoff(lake, contract, dataset, as_of)} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {_name(KNOWN)} DESC, {_name(BATCH)} DESC) = 1) "
        f"WHERE NOT {_name(DELETED)}"
    )
    connection.execute(f"CREATE VIEW {_name(contract.name)} AS {visible}")
    connection.execute(f"CREATE VIEW {_name(contract.name + '_versions')} AS SELECT {columns} FROM {_name(raw)}")
    return True


def _register_kept(connection: Any, name: str, dataset: Any, as_of: Moment | None) -> None:
    """A view of what runs kept: it was known at its cutoff."""
    raw, column = f"_{name}_kept", _name(CUTOFF)
    connection.register(raw, dataset)
    integer = pa.types.is_integer(dataset.schema.field(CUTOFF).type)
    fits = as_of is not None and integer == isinstance(as_of, int)
    at = f"{ticks(as_of)}" if fits and as_of is not None else ""
    seen = f"{column} <= {at if integer else f'make_timestamptz({at})'}" if at else "true"
    connection.execute(f"CREATE VIEW {_name(name)} AS SELECT * FROM {_name(raw)} WHERE {seen}")


def _cutoff(lake: Lake, contract: Contract, dataset: Any, as_of: Moment | None) -> str:
    integer = pa.types.is_integer(dataset.schema.field(KNOWN).type)
    if as_of is None:
        return "true" if integer else f"{_name(KNOWN)} <= make_timestamptz({ticks(lake.clock())})"
    if integer != isinstance(as_of, int):
        raise BadInput(
            f"{contract.name}: cutoff",
            found=f"{as_of!r} on a clock of {'integer steps' if integer else 'instants'}",
            wanted="a cutoff on the table's own clock",
        )
    at = ticks(as_of)
    return f"{_name(KNOWN)} <= {at}" if integer else f"{_name(KNOWN)} <= make_timestamptz({at})"


def _shown(column: Column, stored: bool) -> str:
    """A column in the user's unit: a scaled integer becomes a DECIMAL with its decimals, without rounding."""
    name = _name(column.name)
    if not stored:
        return f"CAST(NULL AS {_TYPES[column.type]}) AS {name}"
    if column.scale == 1:
        return name
    places = column.decimals
    unit = f"CAST({1 / column.scale:.{places}f} AS DECIMAL({places + 1},{places}))"
    return f"CAST({name} AS DECIMAL(19,0)) * {unit} AS {name}"


def _result(table: Any) -> pl.DataFrame:
    """The rows; a sum of whole numbers, which DuckDB widens to 128 bits, as Int64 where it fits."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    wide = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal) and dtype.scale == 0]
    narrow = [frame[name].cast(pl.Int64, strict=False) for name in wide]
    fits = [series for series in narrow if series.null_count() == frame[series.name].null_count()]
    return frame.with_columns(fits)


def _name(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:2])[:300] if lines else type(error).__name__


__all__ = ["query"]
