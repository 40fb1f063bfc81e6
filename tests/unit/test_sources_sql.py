"""Databases as sources: types, watermarks, and lines that drop; over SQLite and PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from foreproof.adapters.sources import Reading, Sql, parse_source
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.core.section import Section
from foreproof.errors import PlanError, SourceError

PLAN = """
schema: 1
name: shop
workload: forecast
sources:
  sales: {sql: "env:SHOP_DB", table: sales, watermark: reported, page: 7}
tables:
  sales:
    key: [item, day]
    happened: day
    known: {column: reported}
    zone: UTC
    columns: {item: text, units: {type: decimal, decimals: 2, low: 0}}
series: {table: sales, by: [item], value: units, every: 1d, gap: missing}
horizon: 2
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, or an empty schema of one."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shop.db'}"
        return
    server = sa.make_url(request.getfixturevalue("postgres_url"))
    schema = f"shop_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    try:
        own = server.update_query_dict({"options": f"-csearch_path={schema}"})
        yield own.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
        engine.dispose()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgres_url"))


def table(address: str) -> tuple[sa.Engine, sa.Table]:
    sales = sa.Table(
        "sales", sa.MetaData(),
        sa.Column("item", sa.Text), sa.Column("day", sa.Date), sa.Column("units", sa.Numeric(12, 2)),
        sa.Column("reported", sa.DateTime(timezone=True)), sa.Column("note", sa.Text),
    )  # fmt: skip
    engine = sa.create_engine(address)
    sales.metadata.create_all(engine)
    return engine, sales


def insert(address: str, rows: list[tuple[str, int, str, int]]) -> None:
    """(item, day of January, units, day on which it was reported)."""
    engine, sales = table(address)
    with engine.begin() as connection:
        connection.execute(
            sales.insert(),
            [
                {"item": item, "day": date(2024, 1, day), "units": Decimal(units), "note": None,
                 "reported": datetime(2024, 1, reported, 9, tzinfo=UTC)}
                for item, day, units, reported in rows
            ],
        )  # fmt: skip
    engine.dispose()


def reading(folder: Path, *wanted: str, since: Any = None, **environ: str) -> Reading:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    return Reading(folder, wanted, now, lambda column: since, environ, folder / "cache")


FIRST = [("tea", day, f"{10 + day}.25", day + 1) for day in range(1, 20)]


def test_types_come_as_the_contract_takes_them_page_by_page(address: str, tmp_path: Path) -> None:
    insert(address, FIRST)
    (batch,) = Sql(address, table="sales", page=5).batches(reading(tmp_path, "item", "day", "units", "reported"))
    assert batch.frame.height == 19
    assert batch.frame["units"].to_list()[0] == "11.25"
    assert batch.frame.schema["day"] == pl.Date
    assert isinstance(batch.frame.schema["reported"], pl.Datetime)
    assert batch.frame.columns == ["item", "day", "units", "reported"]


def test_a_watermark_asks_for_what_is_as_new_or_newer(address: str, tmp_path: Path) -> None:
    insert(address, FIRST)
    mark = datetime(2024, 1, 18, 9, tzinfo=UTC)
    stamp = mark.replace(tzinfo=None) if address.startswith("sqlite") else mark
    for source in (
        Sql(address, table="sales", watermark="reported"),
        Sql(
            address,
            query="SELECT item, day, units, reported FROM sales WHERE reported >= :watermark",
            watermark="reported",
        ),
    ):
        if source.query and address.startswith("sqlite"):
            continue  # SQLite keeps instants as text of its own form; a bound query must know it
        (batch,) = source.batches(reading(tmp_path, since=stamp))
        assert sorted(batch.frame["units"].to_list()) == ["27.25", "28.25", "29.25"]


def test_two_loads_hold_a_correction_and_the_view_of_before(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB", address)
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    plan = PLAN if address.startswith("postgres") else PLAN.replace(", watermark: reported", "")
    (tmp_path / "foreproof.yaml").write_text(plan, encoding="utf-8")
    insert(address, FIRST)
    assert execute(open_project(tmp_path), progress=Silent(), until="load").error is None
    engine, sales = table(address)
    with engine.begin() as connection:
        changed = {"units": Decimal("99.00"), "reported": datetime(2024, 2, 1, 9, tzinfo=UTC)}
        connection.execute(sales.update().where(sales.c.day == date(2024, 1, 3)).values(**changed))
    engine.dispose()
    insert(address, [("tea", 20, "30.25", 21)])
    outcome = execute(open_project(tmp_path), progress=Silent(), until="load")
    assert outcome.error is None
    lake, contract = open_project(tmp_path).lake, open_project(tmp_path).forecast.contracts[0]
    batches = lake.batches("sales").select("added", "superseding").rows()
    assert batches == [(19, 0), (1, 1)]
    if address.startswith("postgres"):
        assert lake.batches("sales")["rows"].to_list()[1] < 19, "only what is as new or newer was asked for"
    stored = lake.table(contract)
    then = stored.as_of(datetime(2024, 1, 25, tzinfo=UTC)).filter(pl.col("units") == 1325)
    now = stored.as_of(datetime(2100, 1, 1, tzinfo=UTC)).filter(pl.col("units") == 9900)
    assert (then.height, now.height) == (1, 1)
    # Nothing newer: nothing is added, and nothing fails.
    assert execute(open_project(tmp_path), progress=Silent(), until="load").error is None


def test_a_line_that_drops_half_way_leaves_nothing(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = (
        "SELECT 'tea' AS item, DATE '2024-01-01' + n AS day, 1.5 AS units, TIMESTAMPTZ '2024-06-01' AS reported, "
        "CASE WHEN n = 40 THEN pg_terminate_backend(pg_backend_pid()) END AS broken FROM generate_series(0, 60) AS n"
    )
    monkeypatch.setenv("SHOP_DB", postgres)
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    plan = PLAN.replace("table: sales, watermark: reported", f'query: "{slow}"')
    (tmp_path / "foreproof.yaml").write_text(plan, encoding="utf-8")
    outcome = execute(open_project(tmp_path), progress=Silent(), until="load")
    assert isinstance(outcome.error, SourceError)
    assert outcome.error.exit_code == 2
    assert open_project(tmp_path).lake.version("sales") is None


def test_a_read_only_transaction_cannot_write(postgres: str, tmp_path: Path) -> None:
    source = Sql(
        postgres, query="WITH gone AS (INSERT INTO pg_class SELECT * FROM pg_class RETURNING 1) SELECT * FROM gone"
    )
    with pytest.raises(SourceError):
        list(source.batches(reading(tmp_path)))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Sql("sqlite:///{folder}/shop.db", table="nothing"), "no such table"),
        (Sql("sqlite:///{folder}/shop.db", query="SELECT weight FROM sales"), "no such column"),
        (Sql("sqlite:///{folder}/no/such/folder/x.db", table="sales"), "unable to open"),
        (Sql("env:NOT_THERE", table="sales"), "NOT_THERE"),
        (Sql("nonsense://user:secret@host/x", table="sales"), "cannot be read"),
        (Sql("no address at all", table="sales"), "cannot be read"),
        (Sql("postgresql+psycopg://someone:secret@127.0.0.1:9/x", table="sales"), "refused"),
    ],
)
def test_what_cannot_be_read_is_said_without_the_password(tmp_path: Path, source: Sql, words: str) -> None:
    insert(f"sqlite:///{tmp_path / 'shop.db'}", FIRST)
    here = replace(source, address=source.address.replace("{folder}", str(tmp_path)))
    with pytest.raises(SourceError, match=words) as refused:
        list(here.batches(reading(tmp_path)))
    assert "secret" not in str(refused.value)
    assert "secret" not in here.describe()


def test_columns_and_rows_that_are_not_there_are_said(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    insert(address, FIRST)
    with pytest.raises(SourceError, match="weight among them"):
        list(Sql(address, table="sales").batches(reading(tmp_path, "item", "weight")))
    with pytest.raises(SourceError, match="no rows"):
        list(Sql(address, query="SELECT * FROM sales WHERE 1 = 0").batches(reading(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sql": "sqlite://", "table": "a", "query": "SELECT 1"}, "both"),
        ({"sql": "sqlite://"}, "neither"),
        ({"sql": "sqlite://", "query": "DELETE FROM sales"}, "one SELECT"),
        ({"sql": "sqlite://", "query": "SELECT 1; DROP TABLE sales"}, "one SELECT"),
        ({"sql": "sqlite://", "table": "a", "page": 0}, "page"),
        ({"sql": "sqlite://", "table": "a", "tabel": "b"}, "did you mean 'table'"),
    ],
)
def test_a_plan_that_asks_for_something_else_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        parse_source(Section(settings, path="sources.sales"))
