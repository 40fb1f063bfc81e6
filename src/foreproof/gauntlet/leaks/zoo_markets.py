"""Market pipelines of strangers: functions of rows (`symbol`, `day`, `close`, `factor`), one honest and each other with a leak.

They are no trials: they go through an audit, which cuts the table and calls them again. `factor` is 1 except on the day of a
split or dividend, when the price before it has to be multiplied by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foreproof.gauntlet.leaks.zoo_tools import ASKED, FEATURE, SPLIT, Workload, Zoo

Pipeline = Callable[[pl.DataFrame], pl.DataFrame]
Outcome = Callable[[pl.DataFrame, Any], pl.DataFrame]
Floats = npt.NDArray[np.float64]

SYMBOL, DAY, CLOSE, FACTOR = "symbol", "day", "close", "factor"
_KEYS = (SYMBOL, DAY)
_STAY, _CALM, _WILD = 0.97, 0.008, 0.02


def honest(frame: pl.DataFrame) -> pl.DataFrame:
    """Momentum, volatility and a trailing z-score of returns that are adjusted day by day; a regime filtered forwards."""
    rows = _returns(frame)
    r = pl.col("r")
    made = rows.with_columns(
        r.rolling_mean(20, min_samples=5).over(SYMBOL).alias("momentum"),
        r.rolling_std(20, min_samples=5).over(SYMBOL).alias("volatility"),
        (r / r.rolling_std(60, min_samples=10).over(SYMBOL)).alias("z"),
    )
    return _with_regime(made, smooth=False).drop("r")


def adjusted_prices(frame: pl.DataFrame) -> pl.DataFrame:
    """The level of back-adjusted prices: every later split and dividend is in it."""
    ordered = frame.sort(_KEYS)
    later = pl.col(FACTOR).reverse().cum_prod().reverse().shift(-1).fill_null(1.0).over(SYMBOL)
    level = (pl.col(CLOSE) * later).log().alias("level")
    return ordered.select(*_KEYS, level)


def smoothed_regimes(frame: pl.DataFrame) -> pl.DataFrame:
    """The chance of the volatile regime from all returns, those to come too (forward-backward), instead of the filter's."""
    return _with_regime(_returns(frame), smooth=True).drop("r")


def centred_volatility(frame: pl.DataFrame) -> pl.DataFrame:
    """The deviation of returns in a window that is centred on the day."""
    std = pl.col("r").rolling_std(21, min_samples=5, center=True).over(SYMBOL)
    return _returns(frame).select(*_KEYS, std.alias("volatility"))


def scaled_on_all_days(frame: pl.DataFrame) -> pl.DataFrame:
    """Momentum scaled by mean and deviation of the whole history of its symbol."""
    momentum = pl.col("r").rolling_mean(20, min_samples=5).over(SYMBOL)
    rows = _returns(frame).with_columns(momentum.alias("m"))
    scaled = (pl.col("m") - pl.col("m").mean().over(SYMBOL)) / pl.col("m").std().over(SYMBOL)
    return rows.select(*_KEYS, scaled.alias("momentum"))


def shuffled_folds(frame: pl.DataFrame) -> pl.DataFrame:
    """Out-of-fold predictions of the next week's return by ridge, folds drawn at random over all days."""
    rows = honest(frame).join(_week_ahead(frame), on=_KEYS, how="left", maintain_order="left")
    x = rows.select(pl.col("momentum", "volatility", "z").fill_null(0.0)).to_numpy()
    y = rows["ahead"].fill_null(0.0).to_numpy()
    fold = pl.Series(rows.select(_KEYS).hash_rows(seed=1) % 5).to_numpy()
    said = np.zeros(len(y))
    for k in range(5):
        said[fold == k] = x[fold == k] @ _ridge(x[fold != k], y[fold != k])
    return rows.select(*_KEYS, pl.Series("said", said))


def universe_of_survivors(frame: pl.DataFrame) -> pl.DataFrame:
    """The features of symbols that still trade on the last day of the table."""
    last = frame.group_by(SYMBOL, maintain_order=True).agg(pl.col(DAY).max().alias("_last"))
    alive = last.filter(pl.col("_last") == pl.col("_last").max())
    return honest(frame.join(alive.select(SYMBOL), on=SYMBOL, how="semi", maintain_order="left"))


def fill_at_own_close(frame: pl.DataFrame) -> pl.DataFrame:
    """A rule whose signal is read at the close and filled at that same close: `filled_at_own_close` is what it is judged by.

    Each row holds no more than that close, so truncation cannot see it: the order is what comes too early.
    """
    rows = _returns(frame)
    return rows.select(*_KEYS, (pl.col("r") > 0).cast(pl.Float64).alias("position"))


def filled_at_own_close(frame: pl.DataFrame, cutoff: Any) -> pl.DataFrame:
    """What a unit earns that is bought at the last close up to the cutoff, the one that the signal read, and sold at the next."""
    return _earned(frame, cutoff, first=0)


def filled_at_next_close(frame: pl.DataFrame, cutoff: Any) -> pl.DataFrame:
    """What a unit earns that is bought at the first close after the cutoff, and sold at the next."""
    return _earned(frame, cutoff, first=1)


def _earned(frame: pl.DataFrame, cutoff: Any, *, first: int) -> pl.DataFrame:
    """`symbol`, `y`: the log return of one close to the next; first: 0 from the last one up to the cutoff, 1 after it."""
    ordered = frame.sort(_KEYS).with_columns((pl.col(DAY) > cutoff).cum_sum().over(SYMBOL).alias("_after"))
    bought, sold = (_close_number(ordered, first + k, closes=f"_{k}") for k in (0, 1))
    # The price before a split has to be multiplied by the factor of the day of the split.
    y = (pl.col("_1") / (pl.col("_0") * pl.col("_1_factor"))).log().alias("y")
    return bought.join(sold, on=SYMBOL, how="inner", maintain_order="left").select(SYMBOL, y)


def _close_number(ordered: pl.DataFrame, number: int, *, closes: str) -> pl.DataFrame:
    """By symbol the close that is the number-th after the cutoff; 0 is the last one up to it."""
    rows = ordered.filter(pl.col("_after") == number)
    found = rows.group_by(SYMBOL, maintain_order=True).agg(pl.col(CLOSE, FACTOR).last())
    return found.select(SYMBOL, pl.col(CLOSE).alias(closes), pl.col(FACTOR).alias(f"{closes}_factor"))


def _returns(frame: pl.DataFrame) -> pl.DataFrame:
    """Keys and `r`, the log return from the close before, adjusted by the day's own factor; sorted."""
    ordered = frame.sort(_KEYS)
    r = (pl.col(CLOSE) / (pl.col(CLOSE).shift(1).over(SYMBOL) * pl.col(FACTOR))).log()
    return ordered.select(*_KEYS, r.fill_null(0.0).alias("r"))


def _week_ahead(frame: pl.DataFrame) -> pl.DataFrame:
    rows = _returns(frame)
    week = pl.col("r").rolling_sum(5).shift(-5).over(SYMBOL)
    return rows.select(*_KEYS, week.alias("ahead"))


def _ridge(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y), dtype=np.float64)


def _with_regime(rows: pl.DataFrame, *, smooth: bool) -> pl.DataFrame:
    """`regime`: the chance that a day's market return comes from the wilder of two normals, by Hamilton's filter (1989).

    The normals are given, not fitted: a deviation of the first days would be unknown to these days themselves. smooth: by
    the forward-backward recursion (Kim, 1994) instead.
    """
    market = rows.group_by(DAY, maintain_order=True).agg(pl.col("r").mean()).sort(DAY)
    r = market["r"].to_numpy()
    density = np.stack([np.exp(-0.5 * (r / s) ** 2) / s for s in (_CALM, _WILD)], axis=1) + 1e-12
    moves = np.array([[_STAY, 1 - _STAY], [1 - _STAY, _STAY]])
    forward = np.zeros((len(r), 2))
    state: Floats = np.array([0.5, 0.5])
    for t in range(len(r)):
        state = (state @ moves) * density[t]
        state = np.asarray(state / state.sum(), dtype=np.float64)
        forward[t] = state
    if smooth:
        back: Floats = np.ones(2)
        for t in range(len(r) - 1, -1, -1):
            both = forward[t] * back
            back = moves @ (density[t] * back)
            back = np.asarray(back / back.sum(), dtype=np.float64)
            forward[t] = both / both.sum()
    said = market.select(DAY, pl.Series("regime", forward[:, 1]))
    return rows.join(said, on=DAY, how="left", maintain_order="left")


MARKETS: Mapping[str, Pipeline] = {
    "adjusted_prices": adjusted_prices,
    "smoothed_regimes": smoothed_regimes,
    "centred_volatility": centred_volatility,
    "scaled_on_all_days": scaled_on_all_days,
    "shuffled_folds": shuffled_folds,
    "universe_of_survivors": universe_of_survivors,
    "fill_at_own_close": fill_at_own_close,
}
"""The leaky pipelines by name; `honest` is their clean twin."""

LABELS: Mapping[str, Outcome] = {"fill_at_own_close": filled_at_own_close}
"""What a pipeline is judged by, where it is not `filled_at_next_close`, from an honest fill."""

_ISSUE = "measured with this project; see docs/gauntlet.md"
_PRADO = "Lopez de Prado (2018), Advances in Financial Machine Learning"
_MARKET: tuple[Workload, ...] = ("market",)

MARKET_LEAKS: tuple[Zoo, ...] = (
    Zoo(
        "adjusted_prices",
        FEATURE,
        "Price levels adjusted for later splits.",
        _PRADO,
        None,
        ("rebuild",),
        _MARKET,
    ),
    Zoo(
        "smoothed_regimes",
        FEATURE,
        "Regimes smoothed over all days (Viterbi and forward-backward look ahead).",
        "Hamilton (1989), Econometrica 57(2); Kim (1994), Journal of Econometrics 60",
        None,
        ("rebuild",),
        _MARKET,
    ),
    Zoo(
        "centred_volatility",
        FEATURE,
        "A window of volatility centred on the day.",
        _PRADO,
        None,
        ("rebuild",),
        _MARKET,
    ),
    Zoo("scaled_on_all_days", FEATURE, "A feature scaled by its whole history.", _PRADO, None, ("rebuild",), _MARKET),
    Zoo(
        "shuffled_folds",
        SPLIT,
        "Out-of-fold predictions, folds drawn over all days.",
        _PRADO,
        None,
        ("rebuild",),
        _MARKET,
    ),
    Zoo(
        "universe_of_survivors",
        ASKED,
        "Symbols that still trade at the end.",
        "Brown, Goetzmann, Ibbotson, Ross (1992), Review of Financial Studies 5(4)",
        None,
        ("rebuild",),
        _MARKET,
    ),
    Zoo(
        "fill_at_own_close",
        ASKED,
        "Filled at the close that the signal was read from: no row holds a later one, the outcome begins too early.",
        _ISSUE,
        None,
        ("intervals",),
        _MARKET,
    ),
)

__all__ = [
    "CLOSE",
    "DAY",
    "FACTOR",
    "LABELS",
    "MARKETS",
    "MARKET_LEAKS",
    "SYMBOL",
    "Outcome",
    "Pipeline",
    "filled_at_next_close",
    "honest",
]
