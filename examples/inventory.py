"""Stock under lead time: what to order, which units first, what knowing more is worth, and how it would have gone."""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.paths import Paths
from foreproof.decisions.information import voi, voi_words
from foreproof.decisions.inventory import StockTerms, leftover_cost, recommend_stock
from foreproof.decisions.ranking import rank_lots, shadow_price, within
from foreproof.decisions.simulate import replay_stock, stock_totals

ITEMS = pl.DataFrame({"item": ["tea", "oats"], "cutoff": [0, 0]})


def believed(mean: tuple[float, float], *, seed: int) -> Paths:
    """500 paths of 14 days."""
    rng = np.random.default_rng(seed)
    return Paths(ITEMS, rng.poisson(np.array(mean)[:, None, None], (2, 500, 14)).astype(np.float64))


def main() -> None:
    """Decide, rank, value, replay."""
    over = leftover_cost(2.0, salvage=0.5, obsolescence=0.3)
    terms = StockTerms(short=3.0, over=over, holding=0.02, lead=2, review=5, pack=6)
    ours, naive = believed((4.0, 9.0), seed=1), believed((6.0, 8.0), seed=2)
    held = ITEMS.with_columns(on_hand=pl.Series([12.0, 30.0]))
    for row in recommend_stock(ours, terms, held=held).rows.iter_rows(named=True):
        print(f"{row['item']}: {row['because']}")

    ranked = rank_lots(ours, terms, held=held)
    bought = within(ranked, 36)
    print(bought.select("item", "rank", "units", "saves", "uses_so_far"))
    print(f"one more unit of room would save {shadow_price(ranked, 36):.2f}\n")
    assert bought["uses"].sum() <= 36

    worth = voi(ours, naive, terms)
    print(voi_words(worth, cut=0.2, currency="euros"), "\n")

    truth = np.random.default_rng(3).poisson([[4.0], [9.0]], (2, 28)).astype(np.float64)
    demand = pl.DataFrame({"item": ["tea"] * 28 + ["oats"] * 28, "period": [*range(28)] * 2, "y": truth.reshape(-1)})
    sides = ([ours, believed((4.0, 9.0), seed=4)], [naive, believed((6.0, 8.0), seed=5)])
    replayed = replay_stock(sides, demand, terms, spacing=14, season=7)
    print(stock_totals(replayed))
    assert replayed["saving"].is_finite().all()


if __name__ == "__main__":
    main()
