"""A table or a query of any database that SQLAlchemy knows; whole, or only what is newer than a watermark.

All pages are read in one transaction with one view of the data and make one batch, so a line that drops half-way
leaves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from foreproof.adapters.sources.batch import Batch, Reading, secret
from foreproof.core.section import Section
from foreproof.errors import PlanError, SourceError

_DRIVERS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_BOUND = "watermark"
_SELECT = re.compile(r"\s*(select|with)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sql:
    """Rows of a database: those of a table (`schema.name` too), or of a query, which is one SELECT.

    address: an SQLAlchemy URL, or `env:NAME`. watermark: a column; only rows at or after the largest value that the lake has
    of it are read. At, and not only after: rows of the same stamp may have been committed later, and the lake writes no row
    that it holds already. A query may say `:watermark` where it wants it; else its rows are filtered. page: rows fetched at a
    time.
    """

    address: str
    table: str = ""
    query: str = ""
    watermark: str = ""
    page: int = 50_000

    def describe(self) -> str:
        """The database without its password, and what is read."""
        what = self.table or "a query"
        if self.address.startswith("env:"):
            return f"{self.address} {what}"
        try:
            return f"{sa.make_url(self.address).render_as_string(hide_password=True)} {what}"
        except ArgumentError:
            return what

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """One batch of all rows. Raises SourceError where the database cannot be reached or does not answer to the end."""
        since = reading.newest(self.watermark) if self.watermark else None
        engine = _engine(self, secret(self.address, reading.environ, "sources: sql"))
        try:
            with engine.connect() as connection:
                frame = _read(self, connection, reading.wanted, since)
        except NoSuchTableError:
            raise SourceError(
                self.describe(),
                found="no such table",
                wanted="a table or view that this user may read",
                fix="check table:",
            ) from None
        except SQLAlchemyError as error:
            raise SourceError(
                self.describe(), found=_words(error), wanted="an answer to the end", fix="nothing was loaded; try again"
            ) from None
        finally:
            engine.dispose()
        if frame.is_empty() and since is None:
            raise SourceError(self.describe(), found="no rows", wanted="at least one", fix="check table: or query:")
        if not frame.is_empty():
            yield Batch(self.describe(), frame)


def parse_sql(section: Section) -> Sql:
    """A database from a section with `sql`."""
    source = Sql(
        address=section.text("sql"),
        table=section.text("table", default=""),
        query=section.text("query", default="").strip().rstrip(";"),
        watermark=section.text("watermark", default=""),
        page=section.whole("page", default=50_000, low=1),
    )
    section.done()
    if bool(source.table) == bool(source.query):
        found = "both table and query" if source.table else "neither table nor query"
        raise PlanError(section.path, found=found, wanted="one of them")
    if source.query and (not _SELECT.match(source.query) or ";" in source.query):
        raise PlanError(f"{section.path}.query", found=source.query[:60], wanted="one SELECT")
    return source


def _engine(source: Sql, address: str) -> sa.Engine:
    try:
        return sa.create_engine(address, poolclass=sa.NullPool)
    except ModuleNotFoundError as error:
        extra = next((name for known, name in _DRIVERS.items() if address.startswith(known)), "")
        fix = f"pip install 'foreproof[{extra}]'" if extra else "install the database's driver"
        raise SourceError(source.describe(), found=f"no {error.name}", wanted="the driver", fix=fix) from None
    except (ArgumentError, NoSuchModuleError):
        # Not the error's own words: they repeat the address with its password.
        wanted = "an address that SQLAlchemy knows, such as postgresql+psycopg://user@host/name"
        raise SourceError("sources: sql", found="an address that cannot be read", wanted=wanted) from None


def _read(source: Sql, connection: sa.Connection, wanted: Sequence[str], since: Any) -> pl.DataFrame:
    """All rows, page by page, in one transaction that sees the data as it was when it began."""
    if connection.dialect.name in ("postgresql", "mysql", "mariadb"):
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    statement, names = _statement(source, connection, wanted, since)
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        result = connection.execution_options(stream_results=True, yield_per=source.page).execute(
            statement, {_BOUND: since} if source.query and f":{_BOUND}" in source.query else {}
        )
        names = list(result.keys())
        _check_columns(source, names, wanted)
        try:
            pages = [_frame(names, page) for page in result.partitions(source.page)]
        finally:
            with suppress(SQLAlchemyError):
                result.close()
        frame = (
            pl.concat(pages, how="vertical_relaxed") if pages else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        )
    kept = [name for name in names if not wanted or name in wanted]
    if source.query and source.watermark and since is not None and f":{_BOUND}" not in source.query and frame.height:
        frame = frame.filter(pl.col(source.watermark) >= since)
    return frame.select(kept)


def _statement(source: Sql, connection: sa.Connection, wanted: Sequence[str], since: Any) -> tuple[Any, list[str]]:
    if source.query:
        return sa.text(source.query), []
    schema, _, name = source.table.rpartition(".")
    table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)
    connection.rollback()  # reflection began a transaction of its own
    names = [column.name for column in table.columns]
    _check_columns(source, names, [*wanted, *([source.watermark] if source.watermark else [])])
    statement = sa.select(*(column for column in table.columns if not wanted or column.name in wanted))
    if source.watermark:
        mark = table.columns[source.watermark]
        statement = statement.order_by(mark)
        if since is not None:
            statement = statement.where(mark >= since)
    return statement, names


def _check_columns(source: Sql, names: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise SourceError(
            source.describe(),
            found=f"columns {', '.join(names)}",
            wanted=f"{', '.join(missing)} among them",
            fix="name the database's column with source:, or select it",
        )


def _frame(names: Sequence[str], rows: Sequence[Any]) -> pl.DataFrame:
    """One page; decimals as text, exact to the last digit, since a column may hold several precisions."""
    columns = zip(*rows, strict=True)
    return pl.DataFrame([_series(name, list(values)) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value).__name__ for value in values if value is not None}
    if "Decimal" in kinds:
        return pl.Series(name, [None if value is None else format(value, "f") for value in values], dtype=pl.String)
    if not kinds:
        return pl.Series(name, values, dtype=pl.String)
    if kinds <= {"int", "float", "bool", "str", "date", "datetime"} and len(kinds) == 1:
        return pl.Series(name, values)
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def _words(error: SQLAlchemyError) -> str:
    """What the database said, without the statement and without the address."""
    first = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"://[^/@\s]*@", "://", first[0])[:300]


__all__ = ["Sql", "parse_sql"]
