"""Digests: what counts, and what must not."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core.digest import digest_bytes, digest_frame, digest_json
from foreproof.errors import BadInput

ROWS = {
    "key": ["b", "a", "c", "ä"],
    "n": [3, None, -1, 2**62],
    "x": [0.5, float("nan"), None, -0.0],
    "flag": [True, None, False, True],
    "day": [date(2024, 1, 1), None, date(1969, 12, 31), date(2024, 2, 29)],
    "at": [datetime(2024, 1, 1, tzinfo=UTC), None, datetime(1960, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)],
    "text": ["", None, "z" * 40, "é"],
    "paths": [[1.0, 2.0], [], None, [3.0]],
    "pair": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, None, {"a": 2, "b": None}],
    "money": [Decimal("1.50"), None, Decimal("-2.25"), Decimal("0.00")],
}
FRAME = pl.DataFrame(ROWS)
DIGEST = digest_frame(FRAME, keys=["key"])


def _plain_digest(keys: list[str], values: list[int | None]) -> str:
    """The rules written out for a text column and an integer column, rows already in order."""
    columns = '[["key","text"],["n","int64"]]'
    header = f'{{"columns":{columns},"format":"foreproof.frame.1","rows":{len(keys)}}}'.encode()
    out = struct.pack("<q", len(header)) + header

    def bits(flags: list[bool]) -> bytes:
        packed = bytearray((len(flags) + 7) // 8)
        for i, flag in enumerate(flags):
            if flag:
                packed[i // 8] |= 1 << (i % 8)
        return struct.pack("<q", len(packed)) + bytes(packed)

    out += bits([True] * len(keys))
    encoded = [key.encode() for key in keys]
    offsets = [sum(len(piece) for piece in encoded[:i]) for i in range(len(encoded) + 1)]
    out += struct.pack("<q", 8 * len(offsets)) + b"".join(struct.pack("<q", offset) for offset in offsets)
    out += struct.pack("<q", offsets[-1]) + b"".join(encoded)
    out += bits([value is not None for value in values])
    out += struct.pack("<q", 8 * len(values)) + b"".join(struct.pack("<q", value or 0) for value in values)
    return hashlib.sha256(out).hexdigest()


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
def test_a_frame_digest_is_the_sha256_of_the_bytes_that_its_docstring_names(rows: dict[str, int | None]) -> None:
    keys = sorted(rows, key=lambda key: key.encode())
    frame = pl.DataFrame({"key": list(rows), "n": list(rows.values())}, schema={"key": pl.String, "n": pl.Int64})
    assert digest_frame(frame, keys=["key"]) == _plain_digest(keys, [rows[key] for key in keys])


def test_a_digest_stays_the_same_over_releases() -> None:
    assert DIGEST == "ef39c1ed8cefa572c27ecd9e7a61faae04e6ff2a04c10f8f0731bca68b60c07a"


@given(st.permutations(range(4)), st.integers(0, 4))
def test_row_order_and_chunks_do_not_count(order: list[int], cut: int) -> None:
    shuffled = FRAME[order]
    chunked = pl.concat([shuffled[:cut], shuffled[cut:]], rechunk=False)
    assert digest_frame(chunked, keys=["key"]) == DIGEST


def test_a_slice_of_a_longer_frame_digests_like_a_copy_of_it() -> None:
    longer = pl.concat([FRAME, FRAME.with_columns(key=pl.lit("q")), FRAME])
    assert digest_frame(longer.slice(8, 4), keys=["key"]) == DIGEST


def test_dictionary_encoding_does_not_count() -> None:
    other = pl.Series(["zz", "c", "ä"], dtype=pl.Categorical)  # other codes were given out before
    encoded = FRAME.with_columns(pl.col("key", "text").cast(pl.Categorical))
    assert other.len() == 3
    assert digest_frame(encoded, keys=["key"]) == DIGEST
    chosen = FRAME.with_columns(pl.col("key").cast(pl.Enum(["ä", "c", "b", "a"])))
    assert digest_frame(chosen, keys=["key"]) == DIGEST


def test_rows_with_repeated_keys_digest_the_same_in_any_order() -> None:
    frame = pl.DataFrame({"key": ["a", "a", "a", "b"], "n": [2, 1, None, 1], "x": [1.0, 2.0, 3.0, 4.0]})
    assert digest_frame(frame, keys=["key"]) == digest_frame(frame[[3, 2, 0, 1]], keys=["key"])
    assert digest_frame(frame, keys=[]) == digest_frame(frame.reverse(), keys=[])


def test_a_nested_column_cannot_break_a_tie() -> None:
    frame = pl.DataFrame({"key": ["a", "a"], "paths": [[1.0], [2.0]]})
    with pytest.raises(BadInput, match="nested column paths"):
        digest_frame(frame, keys=["key"])


@pytest.mark.parametrize(
    "changed",
    [
        FRAME.with_columns(pl.col("n").fill_null(0)),
        FRAME.with_columns(pl.col("x").fill_null(0.0)),
        FRAME.with_columns(pl.col("text").fill_null("")),
        FRAME.with_columns(pl.col("flag").fill_null(False)),
        FRAME.with_columns(pl.col("at").dt.offset_by("1us")),
        FRAME.with_columns(pl.col("at").dt.convert_time_zone("Europe/Paris")),
        FRAME.with_columns(pl.col("at").dt.cast_time_unit("ms")),
        FRAME.with_columns(pl.col("paths").list.eval(pl.element() + 1)),
        FRAME.with_columns(paths=pl.Series([[1.0], [2.0], None, [3.0]])),
        FRAME.with_columns(paths=pl.Series([[1.0, 2.0], [], [], [3.0]], dtype=pl.List(pl.Float64))),
        FRAME.with_columns(pl.col("pair").struct.with_fields(a=pl.lit(7))),
        FRAME.with_columns(money=pl.col("money") + Decimal("0.01")),
        FRAME.with_columns(pl.col("key").str.to_uppercase()),
        FRAME.rename({"n": "m"}),
        FRAME.select(sorted(FRAME.columns)),
        FRAME.drop("n"),
        FRAME[:3],
    ],
)
def test_any_change_of_a_value_a_type_a_name_or_the_order_of_columns_counts(changed: pl.DataFrame) -> None:
    assert digest_frame(changed, keys=["key"] if "key" in changed.columns else []) != DIGEST


def test_bytes_cannot_move_from_one_value_to_its_neighbour() -> None:
    left = pl.DataFrame({"key": ["1", "2"], "text": ["ab", "c"]})
    right = pl.DataFrame({"key": ["1", "2"], "text": ["a", "bc"]})
    assert digest_frame(left, keys=["key"]) != digest_frame(right, keys=["key"])


def test_nan_has_one_form_and_zero_has_no_sign() -> None:
    odd = np.array([0x7FF8000000000001, 0x8000000000000000], dtype=np.uint64).view(np.float64)
    frame = pl.DataFrame({"key": [1, 2], "x": odd})
    plain = pl.DataFrame({"key": [1, 2], "x": [float("nan"), 0.0]})
    assert digest_frame(frame, keys=["key"]) == digest_frame(plain, keys=["key"])


def test_every_type_of_a_column_has_a_digest_and_empty_frames_too() -> None:
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None], dtype=pl.Int8),
            "f": pl.Series([1.5, None], dtype=pl.Float32),
            "d": [timedelta(seconds=1), None],
            "t": [datetime(2024, 1, 1, 3, tzinfo=UTC).time(), None],
            "b": [b"\x00", None],
            "none": [None, None],
            "fixed": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2)),
        }
    )
    digests = {digest_frame(frame.select(name), keys=[]) for name in ("i", "f", "d", "t", "b", "none")}
    assert len(digests) == 6
    assert digest_frame(frame, keys=["i"]) != digest_frame(frame.clear(), keys=["i"])
    assert digest_frame(pl.DataFrame(), keys=[]) == digest_frame(pl.DataFrame(), keys=[])
    with pytest.raises(BadInput, match="Object"):
        digest_frame(pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}), keys=[])


def test_json_digests_ignore_the_order_of_keys_and_tell_values_apart() -> None:
    assert digest_json({"b": [1, 2.5, None], "a": "ä"}) == digest_json({"a": "ä", "b": (1, 2.5, None)})
    assert digest_json({"a": "ä"}) == digest_bytes(b'{"a":"\\u00e4"}')
    assert len({digest_json(value) for value in (1, 1.0, "1", True, None, [1], {"1": 1})}) == 7


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object(), {"a": b"x"}])
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    with pytest.raises(BadInput, match="digest"):
        digest_json(value)


def test_bytes_digest_is_sha256() -> None:
    assert digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
