"""Fallbacks and kept copies: what is read when a source cannot be, how old it may be, and that the batches say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

from foreproof.adapters.sources import Batch, Cached, Fallback, Reading, parse_source
from foreproof.core.section import Section
from foreproof.errors import PlanError, SourceError

START = datetime(2024, 5, 1, 8, tzinfo=UTC)
URL = "memory://kept/sales.csv"


@dataclass(frozen=True)
class Remote:
    """A source of a test: what it gives next, or the error that it raises; it counts how often it was asked."""

    gives: list[Any]
    asked: list[str] = field(default_factory=list, repr=False, compare=False)
    address: str = "remote://sales"

    def __repr__(self) -> str:
        return f"Remote({self.address})"

    def describe(self) -> str:
        return self.address

    def batches(self, reading: Reading) -> Iterator[Batch]:
        self.asked.append(str(reading.newest("day")))
        for number, value in enumerate(self.gives, start=1):
            if isinstance(value, Exception):
                raise value
            yield Batch(f"part {number}", pl.DataFrame({"x": [value], "day": [START]}))


def reading(folder: Path, *, hours: float = 0.0, newest: Any = None, **environ: str) -> Reading:
    now = START + timedelta(hours=hours)
    return Reading(folder, ("x",), now, lambda column: newest, environ, folder / "cache")


def down() -> SourceError:
    return SourceError("remote", found="no answer", wanted="one")


def values(batches: Iterator[Batch]) -> list[Any]:
    return [batch.frame["x"][0] for batch in batches]


def test_the_fallback_is_read_only_where_the_first_source_fails_and_says_why(tmp_path: Path) -> None:
    second = Remote([7], address="second")
    good = list(Fallback(Remote([1, 2]), second).batches(reading(tmp_path)))
    assert [(batch.frame["x"][0], batch.source, batch.note) for batch in good] == [(1, "", ""), (2, "", "")]
    assert second.asked == []
    # The first part could be read, the second could not: none of the first source counts.
    (bad,) = Fallback(Remote([1, down()]), second).batches(reading(tmp_path))
    assert (bad.frame["x"][0], bad.source) == (7, "second")
    assert bad.note == "the fallback, since remote: no answer; wanted one"


def test_where_the_fallback_fails_too_both_are_named(tmp_path: Path) -> None:
    other = SourceError("copy", found="no such file")
    with pytest.raises(SourceError, match="remote: no answer; and of its fallback copy: no such file"):
        list(Fallback(Remote([down()]), Remote([other])).batches(reading(tmp_path)))


def test_an_error_that_is_no_fault_of_the_source_is_not_covered_up(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        list(Fallback(Remote([ZeroDivisionError()]), Remote([7])).batches(reading(tmp_path)))


def test_a_copy_is_read_while_it_is_younger_than_its_age(tmp_path: Path) -> None:
    remote = Remote([1, 2])
    cached = Cached(remote, "6h")
    first = list(cached.batches(reading(tmp_path)))
    assert [(batch.name, batch.note) for batch in first] == [("part 1", ""), ("part 2", "")]
    remote.gives[:] = [3]
    for hours, wanted, asked in ((5.9, [1, 2], 1), (6.0, [3], 2), (11.9, [3], 2), (-1.0, [3], 3)):
        assert values(cached.batches(reading(tmp_path, hours=hours))) == wanted, hours
        assert len(remote.asked) == asked, hours


def test_a_copy_is_the_rows_with_their_types_and_says_its_age(tmp_path: Path) -> None:
    cached = Cached(Remote([1]), "2d")
    (first,) = cached.batches(reading(tmp_path))
    for hours, age in ((0.5, "30 min"), (3, "3 h"), (47.9, "47 h")):
        (again,) = cached.batches(reading(tmp_path, hours=hours))
        assert again.frame.equals(first.frame)
        assert again.frame.schema == first.frame.schema
        assert again.note == f"a copy of 2024-05-01 08:00 UTC, {age} old"


def test_a_stale_copy_is_read_only_where_the_plan_says_so(tmp_path: Path) -> None:
    remote = Remote([1])
    list(Cached(remote, "6h").batches(reading(tmp_path)))
    remote.gives[:] = [down()]
    with pytest.raises(SourceError, match="no answer"):
        list(Cached(remote, "6h").batches(reading(tmp_path, hours=72)))
    (stale,) = Cached(remote, "6h", stale=True).batches(reading(tmp_path, hours=72))
    assert stale.frame["x"][0] == 1
    assert stale.note == "a copy of 2024-05-01 08:00 UTC, 3 d old, since remote: no answer; wanted one"
    with pytest.raises(SourceError, match="no answer"):
        list(Cached(remote, "6h", stale=True).batches(reading(tmp_path / "elsewhere")))


def test_a_failed_reading_leaves_the_copy_as_it_was(tmp_path: Path) -> None:
    remote = Remote([1, 2])
    cached = Cached(remote, "6h", stale=True)
    list(cached.batches(reading(tmp_path)))
    remote.gives[:] = [8, down()]
    assert values(cached.batches(reading(tmp_path, hours=9))) == [1, 2]
    remote.gives[:] = [8, ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        list(cached.batches(reading(tmp_path, hours=9)))
    assert values(cached.batches(reading(tmp_path, hours=1))) == [1, 2]
    (folder,) = (tmp_path / "cache").iterdir()
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1, "no drafts are left"


def test_a_damaged_copy_counts_as_none(tmp_path: Path) -> None:
    remote = Remote([1])
    cached = Cached(remote, "6h", stale=True)
    for damage in ("file", "entry", "gone"):
        list(cached.batches(reading(tmp_path, hours=0)))
        (folder,) = (tmp_path / "cache").iterdir()
        entry = folder / "entry.json"
        part = folder / json.loads(entry.read_text(encoding="utf-8"))["folder"] / "0.parquet"
        if damage == "file":
            part.write_bytes(part.read_bytes()[:-1] + b"x")
        elif damage == "entry":
            entry.write_text("{", encoding="utf-8")
        else:
            part.unlink()
        before = len(remote.asked)
        assert values(cached.batches(reading(tmp_path, hours=1))) == [1]
        assert len(remote.asked) == before + 1, damage


def test_a_copy_belongs_to_its_settings_columns_and_environment(tmp_path: Path) -> None:
    remote = Remote([1], address="remote://env:WHERE")
    cached = Cached(remote, "6h")
    list(cached.batches(reading(tmp_path, WHERE="here")))
    list(cached.batches(reading(tmp_path, WHERE="here")))
    assert len(remote.asked) == 1
    list(cached.batches(reading(tmp_path, WHERE="there")))
    list(cached.batches(replace(reading(tmp_path, WHERE="here"), wanted=("x", "day"))))
    assert len(remote.asked) == 3
    other = Remote([2], address="remote://other")
    assert values(Cached(other, "6h").batches(reading(tmp_path))) == [2]


def test_rows_after_a_watermark_are_no_copy_for_a_lake_that_lost_it(tmp_path: Path) -> None:
    remote = Remote([1])
    cached = Cached(remote, "6h")
    list(cached.batches(reading(tmp_path, newest=START)))
    list(cached.batches(reading(tmp_path, newest=START + timedelta(days=1))))
    assert len(remote.asked) == 1
    list(cached.batches(reading(tmp_path, newest=None)))
    assert len(remote.asked) == 2


def test_the_plan_wires_cache_and_fallback_around_any_kind(tmp_path: Path) -> None:
    def source(**settings: Any) -> Any:
        return parse_source(Section(settings, path="sources.sales"))

    def write(text: str) -> None:
        with fsspec.open(URL, "w") as file:
            file.write(text)

    (tmp_path / "own.csv").write_text("x\nown\n", encoding="utf-8")
    own = {"url": "own.csv"}
    stale = source(url=URL, cache={"age": "30min"}, fallback="cache")
    second = source(url=URL, cache={"age": "30min"}, fallback=own)
    write("x\nremote\n")
    assert values(second.batches(reading(tmp_path))) == ["remote"]
    write("x,y\n1\n")
    assert values(second.batches(reading(tmp_path, hours=0.4))) == ["remote"]
    (batch,) = second.batches(reading(tmp_path, hours=0.5))
    assert (batch.frame["x"][0], batch.source) == ("own", "own.csv")
    assert batch.note.startswith(f"the fallback, since {URL}: fewer fields in line 2")
    (batch,) = stale.batches(reading(tmp_path, hours=50))
    assert (batch.frame["x"][0], batch.source) == ("remote", "")
    assert "2 d old, since" in batch.note
    third = source(url="none.csv", fallback={"url": "nor.csv", "fallback": own})
    (batch,) = third.batches(reading(tmp_path))
    assert batch.source == "own.csv"
    assert batch.note.count("the fallback, since") == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "own.csv", "cache": {"age": "6h"}}, "a file on this machine"),
        ({"url": "package://foreproof/x.csv", "cache": {"age": "6h"}}, "a file on this machine"),
        ({"url": URL, "cache": {"age": "-6h"}}, "a span of time"),
        ({"url": URL, "cache": {"age": "soon"}}, "an offset such as"),
        ({"url": URL, "cache": {}}, "sources.sales.cache.age"),
        ({"url": URL, "cache": {"age": "6h", "ages": 1}}, "did you mean 'age'"),
        ({"url": URL, "fallback": "cache"}, "the settings of another source"),
        ({"url": URL, "fallback": "copy", "cache": {"age": "6h"}}, "the settings of another source"),
        ({"url": URL, "fallback": {"urls": "x"}}, "sources.sales.fallback"),
    ],
)
def test_a_cache_or_fallback_that_makes_no_sense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said) as error:
        parse_source(Section(settings, path="sources.sales"))
    assert isinstance(error.value, PlanError) or "age" in str(error.value)
