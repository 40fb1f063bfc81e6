"""Digests that must never change by themselves: what was logged yesterday has to verify tomorrow, on every machine.

Where one changes on purpose, say so in the changelog, and write down the new one.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

import project

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.core.digest import digest_bytes, digest_frame, digest_json
from foreproof.core.log import encode_leaf
from foreproof.core.merkle import leaf_hash, root_hash

PLAN = project.PLAN.replace("models: [seasonal_naive, theta]", "models: [seasonal_naive, window_mean]")


def test_a_frame_of_every_kind_of_column() -> None:
    frame = pl.DataFrame(
        {
            "key": ["b", "a", "ä"],
            "n": [3, None, 2**62],
            "x": [0.5, float("nan"), None],
            "flag": [True, None, False],
            "day": [date(2024, 2, 29), None, date(1969, 12, 31)],
            "at": [datetime(2024, 1, 1, tzinfo=UTC), None, datetime(1960, 1, 1, tzinfo=UTC)],
            "paths": [[1.0, 2.0], [], None],
            "pair": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, None],
            "money": [Decimal("1.50"), None, Decimal("-2.25")],
        }
    )
    assert digest_frame(frame, keys=["key"]) == "6fda77041d4de95821b9f7443cbfc059191e143bbfd4a49685724914748942b8"
    assert (
        digest_frame(frame.drop_nulls(), keys=["key"])
        == "6861b661a6968d9ad41c912e55c6065111495c4fdf193c9c91d8ab2c16dc309a"
    )
    assert (
        digest_json({"b": [1, 2.5, None, True], "a": "ä"})
        == "f11879da5f07e5304f3e2fa90e91313646b96ea08b34961027ea6065eb2054b6"
    )


def test_leaves_and_the_root_of_a_log() -> None:
    at = datetime(2024, 7, 1, 12, 30, tzinfo=UTC)
    leaves = [encode_leaf("run", {"run": f"r{n}", "share": n / 7}, at=at) for n in range(5)]
    assert digest_bytes(b"\n".join(leaves)) == "9fe4e5ea9a46d5906c1d665c022d4b7b9c58248b6f6b03216c63bdbc23d93303"
    assert (
        root_hash([leaf_hash(leaf) for leaf in leaves]).hex()
        == "d8f79a8d4f4b963e130b8ca4d5dc0bfc1f31263c91cd2b35b7015b7f61e87f05"
    )


def test_a_whole_run_to_nine_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts as modelled, forecast, backtest and orders of a run; nine digits, since sums may be taken in other orders."""
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = project.make(tmp_path / "shop", plan=PLAN, data=project.csv(project.rows(items=2)))
    outcome = execute(open_project(folder), progress=Silent(), tag="golden")
    assert outcome.error is None
    tables = folder / "runs" / outcome.run.id / "tables"
    found = {
        name: digest_frame(rounded(pl.read_parquet(tables / f"{name}.parquet")), keys=[])[:16]
        for name in ("history", "features", "forecast", "backtest", "orders", "replay")
    }
    assert found == {
        "history": "372148b7d7a26daf",
        "features": "85a1b62a0fc740ab",
        "forecast": "3e59fafe7397af6b",
        "backtest": "c6623c8ccb42b38b",
        "orders": "9ced02a0bba3451b",
        "replay": "119af7b0c33b2c2a",
    }


def rounded(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(cs.float().round_sig_figs(9))
