"""Files in every format: the same rows come back, and what would be lost in silence is refused in words."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fsspec
import openpyxl
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_sources as naive
from foreproof.adapters.sources import Batch, Reading, Source, parse_source, read, text
from foreproof.adapters.sources.batch import secret, shown
from foreproof.adapters.sources.text import Dialect, read_text
from foreproof.core.contract import parse_contract
from foreproof.core.section import Section
from foreproof.core.table import columns_of, parse
from foreproof.errors import ContractError, PlanError, SourceError

NOW = datetime(2025, 1, 1, tzinfo=UTC)
CONTRACT = parse_contract(
    "sales",
    Section(
        {
            "key": ["item", "day"],
            "happened": "day",
            "known": {"delay": "1d"},
            "zone": "Europe/Paris",
            "columns": {"item": "text", "units": {"type": "decimal", "decimals": 1, "nullable": True}},
        },
        path="tables.sales",
    ),
)
ROWS = [("1001", date(2024, 1, 1), 2.0), ("1002", date(2024, 1, 1), None), ("1001", date(2024, 1, 2), 4.5)]
CSV = "item,day,units\n" + "".join(f"{item},{day},{'' if units is None else units}\n" for item, day, units in ROWS)


def sheet(rows: list[tuple[Any, ...]], *, name: str = "data", beside: bool = False) -> bytes:
    """An Excel file with one sheet of rows, and perhaps another one before it."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = name
    for row in rows:
        page.append(row)
    if beside:
        book.create_sheet("notes", 0)["A1"] = "nothing here"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pl.DataFrame(ROWS, schema=["item", "day", "units"], orient="row").write_parquet(file)
    return file.getvalue()


def excel() -> bytes:
    return sheet([("item", "day", "units"), *((int(item), day, units) for item, day, units in ROWS)])


FORMATS: dict[str, Callable[[], bytes]] = {
    "a.csv": CSV.encode,
    "a.csv.gz": lambda: gzip.compress(CSV.encode()),
    "a.csv.bz2": lambda: bz2.compress(CSV.encode()),
    "a.csv.xz": lambda: lzma.compress(CSV.encode()),
    "a.csv.zst": lambda: pa.compress(CSV.encode(), codec="zstd", asbytes=True),
    "a.csv.zip": lambda: zipped(a=CSV.encode()),
    "named_plain.csv": lambda: gzip.compress(CSV.encode()),
    "named_packed.csv.gz": CSV.encode,
    "a.parquet": parquet,
    "a.parquet.gz": lambda: gzip.compress(parquet()),
    "a.xlsx": excel,
}


def reading(folder: Path, **changes: Any) -> Reading:
    given = {"now": NOW, "newest": lambda column: None, "environ": {}, "cache": folder / "cache"}
    return Reading(folder, changes.pop("wanted", columns_of(CONTRACT)), **{**given, **changes})


def source(**settings: Any) -> Source:
    return parse_source(Section(settings, path="sources.sales"))


def batches(folder: Path, **settings: Any) -> list[Batch]:
    return list(source(**settings).batches(reading(folder)))


def refused(folder: Path, **settings: Any) -> str:
    with pytest.raises((SourceError, PlanError)) as error:
        batches(folder, **settings)
    return str(error.value)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_table_under_the_same_contract(name: str, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / name).write_bytes(FORMATS[name]())
    with fsspec.open(f"memory://formats/{name}", "wb") as file:
        file.write(FORMATS[name]())
    wanted = parse(CONTRACT, batches(tmp_path, url="plain.csv")[0].frame, now=NOW)
    for url in (name, f"memory://formats/{name}", (tmp_path / name).as_uri()):
        (batch,) = batches(tmp_path, url=url)
        assert batch.name == url
        assert_frame_equal(parse(CONTRACT, batch.frame, now=NOW).rows, wanted.rows)


def test_a_sheet_is_chosen_by_name_or_number_and_dates_of_excel_are_dates(tmp_path: Path) -> None:
    rows = [
        ("item", "day", "units", "mixed", "unused"),
        ("a", date(2024, 1, 1), 1, "x", 1),
        ("b", date(2024, 1, 2), 2, date(2024, 1, 2), 2),
    ]
    (tmp_path / "book.xlsx").write_bytes(sheet(rows, beside=True))
    for chosen in ("data", 2):
        (batch,) = batches(tmp_path, url="book.xlsx", sheet=chosen)
        assert batch.frame.columns == ["item", "day", "units"]
        assert batch.frame["day"].to_list() == [date(2024, 1, 1), date(2024, 1, 2)]
    whole = read(source(url="book.xlsx", sheet="data"), folder=tmp_path)
    assert whole["mixed"].to_list() == ["x", "2024-01-02"]
    assert "one of notes, data" in refused(tmp_path, url="book.xlsx", sheet="dta")
    assert "no sheet 3" in refused(tmp_path, url="book.xlsx", sheet=3)
    assert "item" in refused(tmp_path, url="book.xlsx", sheet="notes")


def test_a_workbook_with_a_column_twice_or_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.xlsx").write_bytes(sheet([("item", "day", "units", "units"), ("a", date(2024, 1, 1), 1, 2)]))
    (tmp_path / "empty.xlsx").write_bytes(sheet([("item", "day", "units")]))
    (tmp_path / "not.xlsx").write_text("item,day,units\n", encoding="utf-8")
    assert "the column 'units' 2 times" in refused(tmp_path, url="twice.xlsx")
    assert "a sheet without rows" in refused(tmp_path, url="empty.xlsx")
    assert "not an Excel file" in refused(tmp_path, url="not.xlsx")


def test_the_files_of_a_folder_or_pattern_are_batches_in_the_order_of_names(tmp_path: Path) -> None:
    for month in (3, 1, 2):
        text = CSV.replace("2024-01-", f"2024-0{month}-")
        (tmp_path / f"sales-2024-0{month}.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / ".hidden").write_text("x", encoding="utf-8")
    (tmp_path / "_SUCCESS").write_text("", encoding="utf-8")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "sales-2024-04.csv").write_text(CSV, encoding="utf-8")
    names = [f"sales-2024-0{month}.csv.gz" for month in (1, 2, 3)]
    for url in (".", str(tmp_path), "sales-*.csv.gz", "sales-2024-0[123]*"):
        assert [batch.name for batch in batches(tmp_path, url=url)] == names, url
    deep = [batch.name for batch in batches(tmp_path, url="**/sales-*")]
    assert deep == ["inner/sales-2024-04.csv", *names]
    (one,) = batches(tmp_path, url="sales-*.csv.gz", batches="together")
    assert (one.name, one.frame.height) == ("sales-*.csv.gz", 9)
    for name in names:
        with fsspec.open(f"memory://months/{name}", "wb") as file:
            file.write((tmp_path / name).read_bytes())
    for url in ("memory://months/", "memory://months/sales-*"):
        assert [batch.name for batch in batches(tmp_path, url=url)] == names, url


def test_a_folder_may_hold_files_of_several_formats(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet", "a.xlsx"):
        (tmp_path / name).write_bytes(FORMATS[name]())
    frames = [parse(CONTRACT, batch.frame, now=NOW).rows for batch in batches(tmp_path, url=".")]
    assert len(frames) == 3
    assert_frame_equal(frames[0], frames[1])
    assert_frame_equal(frames[0], frames[2])


REFUSALS: dict[str, tuple[str, bytes, str]] = {
    "too few fields": ("a.csv", b"item,day,units\na,2024-01-01,1\nb,2024-01-02\n", "fewer fields in line 3 (2)"),
    "an empty line inside": ("a.csv", b"item,day,units\na,2024-01-01,1\n\nb,2024-01-02,2\n", "fewer fields in line 3"),
    "too many fields": ("a.csv", b'item,day,units\n"a\nb",2024-01-01,1\nb,2024-01-02,1,2', "more fields in line 4 (4)"),
    "a header name twice": ("a.csv", b"item,day,units,day\na,2024-01-01,1,x\n", "the column 'day' 2 times"),
    "bytes that are not UTF-8": ("a.csv", b"item,day,units\na,2024-01-01,1\n\xe9,2024-01-01,1\n", "0xe9 in line 3"),
    "half a letter at the end": ("a.csv", b"item,day,units\na,2024-01-01,\xc3", "byte 0xc3 in line 2"),
    "gzip cut short": ("a.csv.gz", gzip.compress(CSV.encode())[:-9], "a compressed file that is broken"),
    "bzip2 cut short": ("a.csv.bz2", bz2.compress(CSV.encode())[:-9], "a compressed file that is broken"),
    "xz cut short": ("a.csv.xz", lzma.compress(CSV.encode())[:-9], "a compressed file that is broken"),
    "zstandard cut short": ("a.zst", pa.compress(CSV.encode(), codec="zstd", asbytes=True)[:-9], "broken"),
    "a damaged zip": ("a.zip", zipped(a=CSV.encode())[:-30], "a compressed file that is broken"),
    "a zip of two": ("a.zip", zipped(a=CSV.encode(), b=CSV.encode()), "a zip file of 2 files"),
    "a workbook as text": ("a.csv", sheet([("item",)]), "set format: excel"),
    "Parquet as text": ("a.csv", parquet(), "set format: parquet"),
    "text as Parquet": ("a.parquet", CSV.encode(), "not a Parquet file"),
    "Parquet without a column": ("a.parquet", b"", "not a Parquet file"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_file_that_would_lose_something_is_refused(case: str, tmp_path: Path) -> None:
    name, content, said = REFUSALS[case]
    (tmp_path / name).write_bytes(content)
    told = refused(tmp_path, url=name)
    assert said in told
    assert told.startswith(name)


def test_a_quote_inside_a_field_and_empty_lines_at_the_end_are_no_fault(tmp_path: Path) -> None:
    text = 'item,day,units\n"a ""b"", c",2024-01-01,1\n"two\nlines",2024-01-02,2\r\n\r\n\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    (batch,) = batches(tmp_path, url="a.csv")
    assert batch.frame["item"].to_list() == ['a "b", c', "two\nlines"]
    (tmp_path / "b.csv").write_text("item,day,units\n5' pipe,2024-01-01,1\n6\" x,2024-01-02,1\n", encoding="utf-8")
    (batch,) = batches(tmp_path, url="b.csv", quote="")
    assert batch.frame.height == 2


FIELDS = st.text(alphabet='ab",\n\r é', max_size=4)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(
        st.lists(FIELDS, min_size=max(1, width - 1), max_size=width + 1), min_size=1, max_size=6
    ).map(lambda rows: (width, rows))
)


@given(TABLES)
def test_lines_are_refused_exactly_where_a_plain_reader_counts_other_fields(
    given_table: tuple[int, list[list[str]]],
) -> None:
    width, rows = given_table
    header = [f"c{i}" for i in range(width)]
    text = naive.csv_text([header, *rows])
    short = naive.first_ragged_line(text, width)
    if short is None:
        frame = read_text("a.csv", text.encode(), Dialect())
        assert frame.columns == header
        assert [[value or "" for value in row] for row in frame.rows()] == rows
    else:
        with pytest.raises(SourceError, match=rf"in line {short} "):
            read_text("a.csv", text.encode(), Dialect())


def test_pieces_of_any_size_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    good = 'a,b\n"x, ""y""\nz",é\n' * 3
    good = "a,b\n" + good.removeprefix("a,b\n").replace("a,b\n", "")
    bad = good + "1\n"
    for size in range(1, 12):
        monkeypatch.setattr("foreproof.adapters.sources.text._CHUNK", size)
        assert read_text("a.csv", good.encode(), Dialect()).height == 3
        assert not text._is_ragged(good.encode(), 4, 2, Dialect()), "or each good file is read twice"
        assert read_text("a.csv", good.encode("utf-16"), Dialect(encoding="utf-16")).height == 3
        with pytest.raises(SourceError, match="in line 8"):
            read_text("a.csv", bad.encode(), Dialect())
        with pytest.raises(SourceError, match="byte 0xff in line 8"):
            read_text("a.csv", good.encode() + b"x,\xff\n", Dialect())


def test_what_is_secret_is_read_from_the_environment_and_never_shown(tmp_path: Path) -> None:
    assert secret("env:TOKEN", {"TOKEN": "x"}, "sources.sales.token") == "x"
    assert secret("plain", {}, "s") == "plain"
    with pytest.raises(SourceError, match="no TOKEN in the environment") as error:
        secret("env:TOKEN", {"TOKEN": ""}, "sources.sales.token")
    assert error.value.subject == "sources.sales.token"
    assert shown("ftp://me:word@host/a.csv") == "ftp://***@host/a.csv"
    assert shown("https://host/a.csv?key=word") == "https://host/a.csv?..."
    assert shown("s3://bucket/what?.csv") == "s3://bucket/what?.csv"
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    given = source(url="env:WHERE")
    assert given.describe() == "env:WHERE"
    (batch,) = given.batches(reading(tmp_path, environ={"WHERE": str(tmp_path / "a.csv")}))
    assert (batch.name, batch.frame.height) == ("env:WHERE", 3)
    with pytest.raises(SourceError) as error:
        list(source(url="http://me:word@localhost:1/a.csv?sig=word").batches(reading(tmp_path)))
    assert "word" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "one of http, sql, url"),
        ({"url": "a.csv", "format": "json"}, "one of csv, parquet, excel"),
        ({"url": "a.csv", "batches": "some"}, "one of each, together"),
        ({"url": "a.csv", "quote": "''"}, "one character"),
        ({"url": "a.csv", "delimiter": "é"}, "one character"),
        ({"url": "a.csv", "sheet": 1.5}, "a whole number"),
        ({"url": "a.csv", "shet": 1}, "did you mean 'sheet'"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, **settings)


def test_a_second_file_of_another_schema_is_refused_by_the_same_contract(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "2.csv").write_text(CSV.replace("units", "pieces"), encoding="utf-8")
    assert "wanted units among them" in refused(tmp_path, url="*.csv")
    (tmp_path / "2.csv").write_text(CSV.replace("4.5", "many"), encoding="utf-8")
    first, second = batches(tmp_path, url="*.csv")
    assert parse(CONTRACT, first.frame, now=NOW).rows.height == 3
    with pytest.raises(ContractError, match="'many'"):
        parse(CONTRACT, second.frame, now=NOW)
    assert "files of different columns" in refused_together(tmp_path)


def refused_together(folder: Path) -> str:
    (folder / "2.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SourceError) as error:
        read(source(url="*.csv"), folder=folder)
    return str(error.value)


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[str, str]]:
    """A bucket of an S3 server on this machine, and the server's address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}", "lake"
    server.stop()


def test_a_bucket_of_s3_is_read_like_a_folder(bucket: tuple[str, str], tmp_path: Path) -> None:
    import s3fs

    address, name = bucket
    client = {"endpoint_url": address}
    system = s3fs.S3FileSystem(key="k", secret="s", client_kwargs=client, skip_instance_cache=True)
    system.mkdir(name)
    for month in (2, 1):
        system.pipe_file(f"{name}/sales/2024-0{month}.csv.gz", gzip.compress(CSV.encode()))
    environ = {"S3_SECRET": "s"}
    options = {"key": "k", "secret": "env:S3_SECRET", "client_kwargs": client}
    for url in (f"s3://{name}/sales/", f"s3://{name}/sales/*.csv.gz"):
        given = source(url=url, options=options)
        found = list(given.batches(reading(tmp_path, environ=environ)))
        assert [batch.name for batch in found] == ["2024-01.csv.gz", "2024-02.csv.gz"]
        assert found[0].frame.height == 3
    with pytest.raises(SourceError, match="no S3_SECRET"):
        list(source(url=f"s3://{name}/sales/", options=options).batches(reading(tmp_path)))
    with pytest.raises(SourceError, match=r"FileNotFoundError|no files"):
        list(source(url=f"s3://{name}/none/", options=options).batches(reading(tmp_path, environ=environ)))
