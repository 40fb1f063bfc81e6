"""A shuffled split trains on rows of next month to predict this one; a split in time, with a gap for the label, does not."""

import numpy as np
import pandas as pd
from sklearn.model_selection import TimeSeriesSplit, train_test_split

from foreproof.testing import assert_causal_split

days = pd.date_range("2024-01-01", periods=100)
rows = pd.DataFrame({"day": days, "x": np.random.default_rng(1).normal(size=100)})

# the label of a row is what happens in the seven days after it
assert_causal_split(TimeSeriesSplit(5, gap=6), rows, time="day", horizon="7d")
try:
    assert_causal_split(lambda frame: train_test_split(frame, random_state=1), rows, time="day", horizon="7d")
except AssertionError as leak:
    print(leak)
else:
    raise SystemExit("the shuffled split went unseen")
