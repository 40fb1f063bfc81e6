"""A scale that is taken from the whole table tells each row how the rest of the table went."""

import numpy as np
import polars as pl

from foreproof.testing import assert_causal

steps = pl.DataFrame({"step": np.arange(200), "load": np.random.default_rng(1).normal(50, 10, 200).cumsum()})


def scaled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("step", z=(pl.col("load") - pl.col("load").mean()) / pl.col("load").std())


def scaled_by_the_past(frame: pl.DataFrame) -> pl.DataFrame:
    rows = pl.int_range(1, pl.len() + 1)
    mean = pl.col("load").cum_sum() / rows
    return frame.select("step", z=pl.col("load") / mean)


assert_causal(scaled_by_the_past, steps, time="step")
try:
    assert_causal(scaled, steps, time="step")
except AssertionError as leak:
    print(leak)
else:
    raise SystemExit("the global scale went unseen")
