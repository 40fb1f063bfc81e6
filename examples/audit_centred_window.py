"""A centred window reads the days after each day; a window that ends with the day does not."""

import numpy as np
import pandas as pd

from foreproof.testing import assert_causal

days = pd.date_range("2024-01-01", periods=90)
sales = pd.DataFrame({"sku": np.repeat(["bolt", "nut"], 90), "day": [*days, *days], "units": np.arange(180.0) % 11})


def centred(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("sku")["units"].transform(lambda units: units.rolling(7, center=True, min_periods=1).mean())


def trailing(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("sku")["units"].transform(lambda units: units.rolling(7, min_periods=1).mean())


assert_causal(trailing, sales, time="day", entity="sku")
try:
    assert_causal(centred, sales, time="day", entity="sku")
except AssertionError as leak:
    print(leak)
else:
    raise SystemExit("the centred window went unseen")
