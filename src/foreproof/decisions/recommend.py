"""One verb for every way to order: `recommend_qty`, from quantiles of one window or from sample paths."""

from __future__ import annotations

from typing import Any

import polars as pl

from foreproof.core.decide import Decisions
from foreproof.core.paths import Paths
from foreproof.decisions import newsvendor
from foreproof.decisions.inventory import StockTerms, recommend_stock
from foreproof.decisions.newsvendor import Order
from foreproof.errors import BadInput


def recommend_qty(beliefs: Any, *, held: Any = None, **terms: Any) -> Order | Decisions:
    """How much to order now.

    beliefs: sample `Paths` (then terms are those of `inventory.StockTerms`: lead, review, holding, short, over,
    service and so on), or quantiles of the demand of one window, a mapping for one item or a frame for many (then
    those of `newsvendor.Newsvendor`: short, over, pack, minimum). held: stock and costs by item. Raises BadInput for
    terms that the kind of belief does not know.

    >>> recommend_qty({0.1: 10, 0.5: 20, 0.9: 40}, short=3, over=1, held={"on_hand": 5}, pack=6).quantity
    30.0
    """
    try:
        if not isinstance(beliefs, Paths):
            found: Order | Decisions = newsvendor.recommend_qty(beliefs, held=held, **terms)
            return found
        stock = StockTerms(**terms)
    except TypeError as error:
        raise BadInput(
            "recommend_qty", found=str(error).partition("() ")[2] or str(error), wanted="its terms"
        ) from None
    known = held if held is None or isinstance(held, pl.DataFrame) else pl.DataFrame(held)
    return recommend_stock(beliefs, stock, held=known)


__all__ = ["recommend_qty"]
