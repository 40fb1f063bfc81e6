"""How much to order: the newsvendor's quantile, for one item and for many, with what a wrong order would cost.

A unit that is missing costs 3, a unit left over costs 1, so demand should be covered with probability 3 / (3 + 1): the
order goes up to the 75% quantile of demand. On hand, on order, packs and a minimum then decide what is really ordered.
"""

from __future__ import annotations

import polars as pl

from foreproof.decisions.newsvendor import expected_cost, recommend_qty
from foreproof.decisions.replay import cost_curve

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def one_item() -> None:
    """One item: beliefs as {level: units}, stock as {name: units}."""
    belief = dict(zip(LEVELS, (60.0, 75.0, 90.0, 110.0, 140.0), strict=True))
    order = recommend_qty(belief, short=3, over=1, held={"on_hand": 20, "on_order": 15}, pack=12)
    assert order.ratio == 0.75
    assert order.target == 110.0, "the quantile of demand at the ratio"
    assert order.quantity == 72.0, "75 are needed; of 72 and 84 in packs of 12, 72 costs less"
    assert order.order_up_to == 20 + 15 + 72
    print(order.because, "\n")

    curve = cost_curve(range(60, 141, 10), levels=LEVELS, values=list(belief.values()), short=3, over=1)
    cheapest = curve.sort("expected_cost").row(0, named=True)
    assert cheapest["order_up_to"] == order.target, "no other stock costs less under this belief"
    print(curve, "\n")


def many_items() -> None:
    """Many items: a frame of quantiles, and a frame of what is held; costs and packs may be columns of it."""
    units = {"tea": (40, 45, 50, 56, 65), "milk": (180, 195, 210, 226, 250), "salt": (0, 0, 1, 2, 5)}
    beliefs = pl.DataFrame(
        [
            (item, 0, level, float(value))
            for item, values in units.items()
            for level, value in zip(LEVELS, values, strict=True)
        ],
        schema=["item", "cutoff", "level", "value"],
        orient="row",
    )
    held = pl.DataFrame(
        {
            "item": ["tea", "milk", "salt"],
            "on_hand": [10.0, 0.0, 4.0],
            "margin": [3.0, 0.5, 1.0],
            "waste": [1.0, 0.5, 0.2],
            "pack": [6.0, 24.0, 1.0],
        }
    )
    decisions = recommend_qty(beliefs, short="margin", over="waste", held=held, pack="pack")
    ordered = dict(decisions.rows.select("item", "order").iter_rows())
    assert ordered == {"tea": 48.0, "milk": 216.0, "salt": 0.0}
    print(decisions.rows.select("item", "order", "target", "ratio", "expected_cost"), "\n")
    print("\n".join(decisions.rows["because"]), "\n")

    # What the safety is worth: ordering the median of tea instead of its 75% quantile.
    better, median = expected_cost([58.0, 50.0], levels=LEVELS, values=units["tea"], short=3, over=1)
    assert better < median
    print(f"tea: stock of 58 costs {better:.2f} on average, stock of 50 costs {median:.2f}")


def main() -> None:
    """Both."""
    one_item()
    many_items()


if __name__ == "__main__":
    main()
