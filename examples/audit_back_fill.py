"""What fills a gap from behind was not there when the gap was; what fills it from the front was."""

import numpy as np
import pandas as pd

from foreproof.testing import assert_causal

days = pd.date_range("2024-01-01", periods=120, name="day")
price = pd.Series(np.random.default_rng(1).normal(0, 1, 120).cumsum(), index=days, name="price")
price.iloc[40:45] = np.nan

assert_causal(lambda series: series.ffill(), price)
try:
    assert_causal(lambda series: series.bfill(), price)
except AssertionError as leak:
    print(leak)
else:
    raise SystemExit("the back-fill went unseen")
