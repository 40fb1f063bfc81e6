"""Reading raw rows: what is wrong with a file is said in its own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

from foreproof.adapters.sources import parse_source, read
from foreproof.core.section import Section
from foreproof.errors import SourceError

TEXT = "sku,day,qty\na,2024-01-01,1\nb,2024-01-02,\n"


def take(folder: Path, content: str | bytes, wanted: tuple[str, ...] = (), **settings: Any) -> pl.DataFrame:
    path = folder / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(
        parse_source(Section({"url": "file.csv", **settings}, path="sources.sales")), folder=folder, wanted=wanted
    )


def test_csv_is_read_as_text_and_empty_places_are_nulls(tmp_path: Path) -> None:
    found = take(tmp_path, TEXT)
    assert found.schema == {"sku": pl.String, "day": pl.String, "qty": pl.String}
    assert found["qty"].to_list() == ["1", None]
    assert take(tmp_path, TEXT, wanted=("sku", "qty")).columns == ["sku", "qty"]
    assert take(tmp_path, b"\xef\xbb\xbf" + TEXT.encode()).columns[0] == "sku"
    assert take(tmp_path, TEXT.replace("1\n", "n/a\n"), null_values=["n/a", ""])["qty"].to_list() == [None, None]


def test_decimal_commas_delimiters_and_encodings_are_declared(tmp_path: Path) -> None:
    found = take(
        tmp_path, "sku;qty\nThé;1.234,5\nx;-2,5\n".encode("cp1252"), delimiter=";", decimal=",", encoding="cp1252"
    )
    assert found.rows() == [("Thé", "1234.5"), ("x", "-2.5")]
    assert take(tmp_path, TEXT.encode("utf-16"), encoding="utf-16").height == 2


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        ("", {}, "an empty file"),
        ("sku,day,qty\n", {}, "a header and no rows"),
        (TEXT.replace(",", ";"), {}, "set delimiter: ';'"),
        (TEXT + "c,2024-01-03,1,9\n", {}, "more fields"),
        (TEXT.encode() + b"caf\xe9,2024-01-03,1\n", {}, "byte 0xe9 in line 4"),
        (TEXT, {"encoding": "klingon"}, "klingon"),
        (TEXT, {"delimiter": ".", "decimal": "."}, "one character other than the decimal mark"),
        (TEXT, {"delimiter": "::"}, "one character"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: Any, settings: dict[str, str], said: str) -> None:
    with pytest.raises(SourceError) as error:
        take(tmp_path, content, ("sku", "day", "qty"), **settings)
    assert said in str(error.value)


def test_parquet_globs_packages_and_addresses(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": [3, 4]})
    frame.write_parquet(tmp_path / "1.parquet")
    frame.write_parquet(tmp_path / "2.parquet")

    def get(url: str, wanted: tuple[str, ...] = ()) -> pl.DataFrame:
        return read(parse_source(Section({"url": url}, path="s")), folder=tmp_path, wanted=wanted)

    assert get("1.parquet", ("a",)).columns == ["a"]
    assert get("*.parquet").height == 4
    with fsspec.open("memory://box/rows.csv", "wb") as file:
        file.write(TEXT.encode())
    assert get("memory://box/rows.csv").height == 2
    assert get("package://foreproof/app/templates/co2.csv").height == 216
    (tmp_path / "not.parquet").write_text("no")
    for url, said in [
        ("gone.csv", "no such file"),
        ("gone-*.csv", "no such file"),
        ("package://no_such_module/x.csv", "no package"),
        ("package://foreproof/none.csv", "no such file in the package"),
        ("memory://box/none.csv", "FileNotFoundError"),
        ("not.parquet", "not a Parquet file"),
    ]:
        with pytest.raises(SourceError, match=said):
            get(url)
